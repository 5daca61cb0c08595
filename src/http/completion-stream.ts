import type { Choice } from '../answers.js'
import type { CompletionRequest, SequenceStart } from '../schemas.js'
import type { TextEvent } from '../text/text.js'
import type { CompletionAnswer } from './completion-answer.js'
import { type FinishedText, onTheWire } from './generation-answer.js'
import type { Retold } from './retelling.js'
import { DONE, eventText } from './server-sent-events.js'

/**
 * A completion as OpenAI streams it: the text grows at its end only. For who asks for drafts every chunk is also a typed event,
 * and there are more of them: OpenAI's clients hand on events of any name.
 */
export async function* completionStream(
  events: AsyncIterable<Retold>,
  answer: CompletionAnswer,
  { drafts, stream_options }: CompletionRequest
): AsyncGenerator<string> {
  const withUsage = stream_options?.include_usage ?? false
  const starts: SequenceStart[] = []
  const texts: FinishedText[] = []
  function choicesOf(event: TextEvent): Choice[] {
    const { index } = event
    if (event.type === 'sequence-end') {
      const text = { start: starts[index]!, end: event }
      texts.push(text)
      return [answer.end(text)]
    }
    if (event.type === 'sequence-start') starts[index] = event
    const text = event.type === 'sequence-start' ? answer.echo(index) : event.delta
    return text ? [answer.delta(index, text)] : []
  }
  for await (const { event, id } of events) {
    const choices = choicesOf(event)
    if (id === undefined) continue
    const chunk = answer.chunk(choices, withUsage ? { usage: null } : {})
    if (drafts) yield eventText({ ...chunk, ...onTheWire(event) }, event.type, id)
    else if (choices.length > 0) yield eventText(chunk, undefined, id)
  }
  if (withUsage) yield eventText(answer.chunk([], { usage: answer.usage(texts) }))
  yield DONE
}
