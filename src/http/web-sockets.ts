import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { requestId } from './request-id.js'

/** A message over the limit gets an error event; one so much larger is not even read, and ends its socket. */
const UNREADABLE = 4
/** How long a client may take to say goodbye. */
const CLOSE_TIMEOUT_MS = 1000
const GOING_AWAY = 1001
/** The subprotocol, for clients that must name one. */
const PROTOCOL = 'fewstep'

/** Lets routes take WebSockets. Call before any route is added: an upgrade may come to each of them. */
export async function acceptWebSockets(app: FastifyInstance, maxBytes: number): Promise<void> {
  const options = {
    maxPayload: UNREADABLE * maxBytes,
    // A key may come as a subprotocol; it is not said back.
    handleProtocols: (offered: Set<string>) => offered.has(PROTOCOL) && PROTOCOL,
    closeTimeout: CLOSE_TIMEOUT_MS, // not in the types yet
    skipUTF8Validation: true // what is no UTF-8 becomes U+FFFD, as in bodies
  }
  await app.register(fastifyWebsocket, {
    options,
    preClose(done) {
      for (const socket of this.websocketServer.clients) socket.close(GOING_AWAY)
      done()
    },
    errorHandler: (error, _socket, request) => {
      request.log.info({ reason: error.message }, 'websocket failed')
    }
  })
  app.websocketServer.on('headers', (headers, request) => headers.push(`x-request-id: ${requestId(request)}`))
}
