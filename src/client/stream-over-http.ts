import type { ErrorBody } from '../errors.js'
import type { CompletionRequest, InfillRequest, SequenceEvent } from '../schemas.js'
import { DisconnectedError, FewstepError } from './fewstep-error.js'
import { type ServerAddress, send } from './server-address.js'
import { readEvents } from './server-sent-events.js'
import { textsOf } from './texts-of.js'

/** The typed events of a request as server-sent events. Those that OpenAI's clients read are left out. */
export async function* streamOverHttp(
  server: ServerAddress,
  path: string,
  request: CompletionRequest | InfillRequest,
  signal?: AbortSignal
): AsyncGenerator<SequenceEvent> {
  const drafts = 'template' in request ? {} : { drafts: true } // an infill tells every step as it is
  const answer = await send(server, path, { body: { ...request, stream: true, ...drafts }, signal })
  let texts = textsOf(request)
  for await (const { event, data } of readEvents(answer.body!, signal)) {
    if (event === 'message') continue
    const { object, created, system_fingerprint, choices, error, ...typed } = JSON.parse(data)
    if (event === 'error') throw new FewstepError(error as ErrorBody)
    yield typed
    if (event === 'sequence-end' && --texts === 0) return
  }
  throw new DisconnectedError('The server left in the middle of a stream.')
}
