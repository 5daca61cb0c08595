import { WebSocket } from 'ws'
import { FewstepClient, FewstepError, type SequenceEvent } from '../client/client.js'
import type { WebSocketClass } from '../client/text-stream.js'
import { errorTable } from '../errors.js'
import { isOverload, Refusal } from './refusal.js'
import { TextOfSteps } from './text-of-events.js'
import { SLOW_READER_MS, type Transport, type Written } from './transport.js'

/** Sockets that share the texts of a run; a slow reader has one of its own, since it holds up all that come over it. */
const SOCKETS = 8

export function webSocketTransport(url: string, key: string | null): Transport {
  const clientWith = (webSocket: unknown) =>
    new FewstepClient(url, {
      retries: 0,
      webSocket: webSocket as WebSocketClass,
      ...(key && { apiKey: key })
    })
  const client = clientWith(WebSocket)
  const slowClient = clientWith(SlowWebSocket)
  const sockets = Array.from({ length: SOCKETS }, () => client.stream())
  let next = 0
  return {
    async write(request, { signal, slow }) {
      if (!slow) return follow(sockets[next++ % SOCKETS]!.complete(request, { signal }))
      const own = slowClient.stream()
      return follow(own.complete(request, { signal })).finally(() => own.close())
    },
    close: () => Promise.all(sockets.map((socket) => socket.close()))
  }
}

async function follow(events: AsyncIterable<SequenceEvent>): Promise<Written> {
  const text = new TextOfSteps()
  try {
    for await (const event of events) text.add(event)
  } catch (error) {
    if (!(error instanceof FewstepError)) throw error
    const { status } = errorTable[error.code]
    throw new Refusal(error.message, error.code, isOverload(status))
  }
  return text.written
}

/** Stops reading for a while after every message. */
class SlowWebSocket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols)
    this.on('message', () => {
      this.pause()
      setTimeout(() => this.resume(), SLOW_READER_MS)
    })
  }
}
