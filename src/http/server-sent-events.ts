/** Server-sent events: how they are written, kept alive and sent. */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** @param id what a client that was cut off sends back as `Last-Event-ID` */
export function eventText(data: unknown, event?: string, id?: string): string {
  const fields = [event && `event: ${event}`, id && `id: ${id}`, `data: ${JSON.stringify(data)}`]
  return `${fields.filter(Boolean).join('\n')}\n\n`
}

/** The last event that a client has had of a stream that was cut off. */
export function lastEventId({ headers }: FastifyRequest): string | undefined {
  return headers['last-event-id']?.toString()
}

/** How OpenAI's streams end. */
export const DONE = 'data: [DONE]\n\n'

/** Answers with events as they come, at the speed at which they are read. */
export function sendEvents(reply: FastifyReply, events: AsyncIterable<string>, heartbeatMs: number) {
  return reply
    .headers({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no' // nginx, too, passes on each event at once
    })
    .send(Readable.from(keepAlive(events, heartbeatMs), { highWaterMark: 1 })) // one event waits, no more
}

/**
 * The same events with a comment first, so that the headers go out at once, and one whenever nothing came for
 * so long: proxies close what is silent. Neither the source nor the transport knows of it.
 */
export async function* keepAlive(events: AsyncIterable<string>, everyMs: number): AsyncGenerator<string> {
  const iterator = events[Symbol.asyncIterator]()
  try {
    yield ': accepted\n\n'
    let next = iterator.next()
    for (;;) {
      const result = await Promise.race([next, silence(next, everyMs)])
      if (result === undefined) {
        yield ': alive\n\n'
        continue
      }
      if (result.done) return
      yield result.value
      next = iterator.next()
    }
  } finally {
    await iterator.return?.()
  }
}

/** Resolves after so long; the timer goes when the work is done first. */
function silence(work: Promise<unknown>, ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, undefined)
    const clear = () => clearTimeout(timer)
    work.then(clear, clear)
  })
}
