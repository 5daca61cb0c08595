/** The ways to ask for a completion, each with a client of fewstep's own that tries nothing twice. */
import { WebSocket } from 'ws'
import { DisconnectedError, FewstepClient, type SequenceEvent } from '../client/client.js'
import type { WebSocketClass } from '../client/text-stream.js'
import type { CompletionRequest, Timings } from '../schemas.js'
import type { TransportName } from './plan.js'

/** A text that came. Times are milliseconds on the clock of `performance.now()`. */
export interface Written {
  readonly text: string
  readonly tokens: number
  readonly timings: Timings
  readonly firstStep: number
  /** When the first text came that will not change. */
  readonly firstText: number
}

export interface Transport {
  /** @throws {FewstepError | DisconnectedError} */
  write(request: CompletionRequest, signal: AbortSignal): Promise<Written>
  close(): Promise<unknown>
}

/** Sockets that share the texts of a run. */
const SOCKETS = 8

export function transportTo(name: TransportName, url: string, apiKey?: string): Transport {
  const webSocket = WebSocket as unknown as WebSocketClass
  const client = new FewstepClient(url, { retries: 0, webSocket, ...(apiKey && { apiKey }) })
  const close = async () => {}
  if (name === 'http') return { write: (request, signal) => whole(client, request, signal), close }
  if (name === 'sse')
    return { write: (request, signal) => follow(client.complete(request, { signal })), close }
  const sockets = Array.from({ length: SOCKETS }, () => client.stream())
  let next = 0
  return {
    write: (request, signal) => follow(sockets[next++ % SOCKETS]!.complete(request, { signal })),
    close: () => Promise.all(sockets.map((socket) => socket.close()))
  }
}

async function whole(
  client: FewstepClient,
  request: CompletionRequest,
  signal: AbortSignal
): Promise<Written> {
  const sent = performance.now()
  const { choices, usage } = await client.complete(request, { signal })
  const { text, fewstep } = choices[0]!
  const timings = fewstep!.timings
  return {
    text,
    tokens: usage!.completion_tokens,
    timings,
    firstStep: sent + timings.first_step_ms,
    firstText: performance.now()
  }
}

async function follow(events: AsyncIterable<SequenceEvent>): Promise<Written> {
  let firstStep: number | undefined
  let firstText: number | undefined
  for await (const event of events) {
    const now = performance.now()
    if (event.type === 'step-end') {
      firstStep ??= now
      if (event.delta) firstText ??= now
    }
    if (event.type === 'sequence-end') {
      const { text, usage, timings } = event
      const tokens = usage.completion_tokens
      return { text, tokens, timings, firstStep: firstStep ?? now, firstText: firstText ?? now }
    }
  }
  throw new DisconnectedError('The stream ended before the text did.')
}
