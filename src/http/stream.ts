import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { RequestError } from '../errors.js'
import { refusals } from './answer-schemas.js'
import { handleInTurn } from './handle-in-turn.js'
import { keepSocketAlive } from './heartbeat.js'
import type { HttpOptions } from './http-options.js'
import { SocketSession } from './socket-session.js'

const schema = {
  tags: ['Text'],
  summary: 'Write texts over a WebSocket',
  description:
    'Several requests at once, each under an id that the client chooses. Messages to send: CompletionMessage, InfillMessage, CancelMessage, SnapshotMessage. Events that come: SequenceStart, StepEnd, SequenceEnd, Snapshot, ErrorEvent.',
  response: { 101: { type: 'null', description: 'The connection is a WebSocket now.' }, ...refusals }
}

export const streamRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, options) => {
  const { limits, metrics } = options
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
      handleInTurn(socket, (data, isBinary) => session.handle(data, isBinary))
      socket.once('close', () => {
        session.close()
        uncount()
      })
    }
  })
}
