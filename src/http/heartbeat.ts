import type { WebSocket } from 'ws'

/** Pings a WebSocket and ends it when it has answered nothing since the last ping. */
export function keepSocketAlive(socket: WebSocket, everyMs: number): void {
  let alive = true
  const hear = () => {
    alive = true
  }
  socket.on('pong', hear).on('message', hear)
  const timer = setInterval(() => {
    if (!alive) {
      socket.terminate()
      return
    }
    alive = false
    socket.ping()
  }, everyMs)
  socket.once('close', () => clearInterval(timer))
}
