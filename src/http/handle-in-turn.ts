import type { WebSocket } from 'ws'

interface Message {
  readonly data: Buffer
  readonly isBinary: boolean
}

/**
 * Handles the messages of a socket one after another. While one is handled the socket is not read, so that what
 * waits is at most what one read brought: who does not take its answers cannot ask for more.
 */
export function handleInTurn(
  socket: WebSocket,
  handle: (data: Buffer, isBinary: boolean) => Promise<void>
): void {
  const waiting: Message[] = []
  let busy = false

  async function work(): Promise<void> {
    busy = true
    socket.pause()
    for (let next = waiting.shift(); next; next = waiting.shift()) await handle(next.data, next.isBinary)
    socket.resume()
    busy = false
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    waiting.push({ data, isBinary })
    if (!busy) void work()
  })
  socket.once('close', () => {
    waiting.length = 0
  })
}
