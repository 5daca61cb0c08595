import type { TextEnd, TextEvent } from './text.js'

/**
 * Of every `candidates` texts in a row the `n` likeliest a token come through: their start and end, numbered anew.
 * Which they are is known only when all are done.
 */
export async function* bestOf(
  events: AsyncIterable<TextEvent>,
  candidates: number,
  n: number
): AsyncGenerator<TextEvent> {
  const starts = new Map<number, TextEvent>()
  const ends: TextEnd[] = []
  for await (const event of events) {
    if (event.type === 'sequence-start') starts.set(event.index, event)
    if (event.type === 'sequence-end') ends.push(event)
  }
  for (let prompt = 0; prompt * candidates < ends.length; prompt++) {
    const ranked = ends
      .filter(({ index }) => Math.floor(index / candidates) === prompt)
      .sort((a, b) => meanLogProbability(b) - meanLogProbability(a) || a.index - b.index)
    for (const [choice, end] of ranked.slice(0, n).entries()) {
      const index = prompt * n + choice
      yield { ...starts.get(end.index)!, index }
      yield { ...end, index }
    }
  }
}

function meanLogProbability({ tokens }: TextEnd): number {
  return tokens.reduce((sum, { probability }) => sum + Math.log(probability), 0) / Math.max(1, tokens.length)
}
