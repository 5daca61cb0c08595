import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'

/**
 * Follows the answers under way on each connection, to do what Node does by halves. Where a client leaves, Node tells the
 * answer at the head alone: those asked for behind it (HTTP/1.1 pipelining) would wait for ever. Where the server closes,
 * Node ends those idle connections only that have had a request: a silent one would hold it up.
 */
export function followAnswers(app: FastifyInstance): void {
  const { server } = app
  const connections = new Map<Socket, Set<ServerResponse>>()
  let closing = false
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    if (closing) {
      socket.destroy()
      return
    }
    const answers = new Set<ServerResponse>()
    connections.set(socket, answers)
    socket.once('close', () => {
      connections.delete(socket)
      for (const answer of answers) if (!answer.socket) abandon(answer)
    })
  })
  server.on('request', ({ socket }, answer: ServerResponse) => {
    const answers = connections.get(socket)!
    answers.add(answer)
    answer.once('close', () => {
      answers.delete(answer)
      if (closing && answers.size === 0) socket.destroySoon()
    })
  })
  server.on('upgrade', ({ socket }) => connections.delete(socket)) // a WebSocket is closed in its own way
  app.addHook('preClose', async () => {
    closing = true
    for (const [socket, answers] of connections) if (answers.size === 0) socket.destroy()
  })
}

function abandon(answer: ServerResponse): void {
  if (answer.destroyed) return // it has been told
  answer.destroy()
  answer.emit('close')
}
