import type { Server, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'

/** How often in the allowed time it is looked whether something has left. */
const LOOKS = 4

interface Reader {
  /** Bytes that had left when it was last looked. */
  left: number
  /** Looks since then at which bytes waited and none had left. */
  stalled: number
}

const cut = new WeakSet<Socket>()

/** Whether a connection was ended because its client did not read. */
export function wasCut(socket: Socket): boolean {
  return cut.has(socket)
}

/** Ends connections whose client takes nothing of what waits for it for so long: it holds memory, and perhaps a text. */
export function cutStalledReaders(server: Server, timeoutMs: number, onCut: () => void): void {
  const readers = new Map<Socket, Reader>()
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    readers.set(socket, { left: 0, stalled: 0 })
    socket.once('close', () => readers.delete(socket))
  })
  const timer = setInterval(() => {
    for (const [socket, reader] of readers) {
      const left = socket.bytesWritten - socket.writableLength
      reader.stalled = socket.writableLength > 0 && left === reader.left ? reader.stalled + 1 : 0
      reader.left = left
      if (reader.stalled < LOOKS) continue
      onCut()
      cut.add(socket)
      socket.destroy()
    }
  }, timeoutMs / LOOKS)
  timer.unref()
  server.once('close', () => clearInterval(timer))
}
