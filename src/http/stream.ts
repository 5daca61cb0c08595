import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fastifyWebsocket from '@fastify/websocket'
import { RequestError } from '../errors.js'
import { refusals } from './answer-schemas.js'
import { keepSocketAlive } from './heartbeat.js'
import type { HttpOptions } from './http-options.js'
import { SocketSession } from './socket-session.js'

/** A message over the limit gets an error event; one so much larger is not even read, and ends its socket. */
const UNREADABLE = 4
/** How long a client may take to say goodbye. */
const CLOSE_TIMEOUT_MS = 1000

const schema = {
  tags: ['Text'],
  summary: 'Write texts over a WebSocket',
  description:
    'Several requests at once, each under an id that the client chooses. Messages to send: CompletionMessage, InfillMessage, CancelMessage, SnapshotMessage. Events that come: SequenceStart, StepEnd, SequenceEnd, Snapshot, ErrorEvent.',
  response: { 101: { type: 'null', description: 'The connection is a WebSocket now.' }, ...refusals }
}

export const streamRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, options) => {
  const { limits, metrics } = options
  const socketOptions = {
    maxPayload: UNREADABLE * limits.bodyLimit,
    closeTimeout: CLOSE_TIMEOUT_MS, // not in the types yet
    skipUTF8Validation: true // what is no UTF-8 becomes U+FFFD, as in bodies
  }
  await app.register(fastifyWebsocket, {
    options: socketOptions,
    errorHandler: (error, _socket, request) => {
      request.log.info({ reason: error.message }, 'websocket failed')
    }
  })

  app.route({
    method: 'GET',
    url: '/v1/stream',
    schema,
    handler: async () => {
      throw new RequestError(
        'upgrade_required',
        'upgrade: expected a WebSocket handshake, got a plain request'
      )
    },
    wsHandler: (socket, request) => {
      const session = new SocketSession(socket, request, options)
      const uncount = metrics.countSocket()
      keepSocketAlive(socket, limits.heartbeatMs)
      socket.on('message', (data: Buffer, isBinary: boolean) => session.receive(data, isBinary))
      socket.once('close', () => {
        session.close()
        uncount()
      })
    }
  })
}
