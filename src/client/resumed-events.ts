import type { CompletionRequest, InfillRequest, SequenceEvent } from '../schemas.js'
import { Attempts, type Persistence } from './persistence.js'
import { Resumption } from './resumption.js'

/** The events of a request, over as many attempts as it takes; each is told once. */
export async function* resumedEvents<Request extends CompletionRequest | InfillRequest>(
  request: Request,
  attempt: (request: Request) => AsyncIterable<SequenceEvent>,
  persistence: Persistence
): AsyncGenerator<SequenceEvent> {
  const resumption = new Resumption()
  const attempts = new Attempts(persistence)
  for (;;) {
    try {
      for await (const event of attempt(resumption.next(request))) {
        attempts.succeed()
        yield* resumption.take(event)
      }
      return
    } catch (error) {
      await attempts.fail(error)
    }
  }
}
