import type { FastifyReply } from 'fastify'
import { Cancellation } from '../errors.js'
import { wasCut } from './stalled-readers.js'

/** Aborted when the client leaves before its answer is written: nobody needs the text any more. */
export function departure(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  const leave = () => {
    if (!reply.raw.writableEnded) {
      const reason = wasCut(reply.request.raw.socket) ? 'stalled' : 'left'
      controller.abort(new Cancellation(reason, 'The client left before its answer was written.'))
    }
  }
  // The request's own 'close' comes when its body has been read; the response's only with the connection.
  if (reply.raw.destroyed) leave()
  else reply.raw.once('close', leave)
  return controller.signal
}
