import type { Generation } from '../engine.js'
import type { CompletionRequest, SequenceStart } from '../schemas.js'
import type { TextEvent } from '../text/text.js'
import type { CompletionAnswer } from './completion-answer.js'
import { type FinishedText, onTheWire } from './generation-answer.js'
import { DONE, eventText } from './server-sent-events.js'

/**
 * A completion as OpenAI streams it: the text grows at its end only. Who asks for drafts gets the typed events too;
 * each is also an OpenAI chunk without choices, because OpenAI's clients hand on events of any name.
 */
export async function* completionStream(
  generation: Generation,
  answer: CompletionAnswer,
  { drafts, stream_options }: CompletionRequest
): AsyncGenerator<string> {
  const withUsage = stream_options?.include_usage ?? false
  const chunk = (choice: ReturnType<CompletionAnswer['delta']>) =>
    eventText(answer.chunk([choice], withUsage ? { usage: null } : {}))
  const starts: SequenceStart[] = []
  const texts: FinishedText[] = []
  for await (const event of generation) {
    if (drafts) yield draft(event, answer)
    const { index } = event
    if (event.type === 'sequence-start') {
      starts[index] = event
      if (answer.echo(index)) yield chunk(answer.delta(index, answer.echo(index)))
    } else if (event.type === 'step-end') {
      if (event.delta) yield chunk(answer.delta(index, event.delta))
    } else {
      const text = { start: starts[index]!, end: event }
      texts.push(text)
      yield chunk(answer.end(text))
    }
  }
  if (withUsage) yield eventText(answer.chunk([], { usage: answer.usage(texts) }))
  yield DONE
}

function draft(event: TextEvent, answer: CompletionAnswer): string {
  return eventText({ ...answer.chunk([]), ...onTheWire(event) }, event.type)
}
