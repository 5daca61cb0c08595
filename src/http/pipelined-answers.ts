import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/**
 * Tells every answer when its client has left. Node tells the one at the head of the connection only: those that were
 * asked for behind it (HTTP/1.1 pipelining) would wait for ever.
 */
export function closePipelinedAnswers(server: Server): void {
  server.on('request', ({ socket }: IncomingMessage, answer: ServerResponse) => {
    if (answer.socket) return // it is at the head
    const close = () => {
      if (answer.socket || answer.destroyed) return // Node tells it, or has
      answer.destroy()
      answer.emit('close')
    }
    socket.once('close', close)
    answer.once('close', () => socket.off('close', close))
  })
}
