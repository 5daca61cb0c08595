import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'

/** A TCP connection to a server. */
export async function connection(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.on('error', () => {}) // a reset is one way to be turned away
  return socket
}

export interface Exchange {
  readonly received: Buffer
  /** The server let go of the connection in time once its client had. */
  readonly closed: boolean
}

/** Sends bytes, takes what comes back for so long or until it is enough, says goodbye and waits for the end. */
export async function exchange(
  url: string,
  bytes: string | Buffer,
  listenMs: number,
  isEnough: (received: Buffer) => boolean = () => false
): Promise<Exchange> {
  const socket = await connection(url)
  const chunks: Buffer[] = []
  const enough = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      if (isEnough(Buffer.concat(chunks))) resolve()
    })
  })
  const closed = once(socket, 'close').then(() => true)
  socket.write(bytes)
  await Promise.race([closed, enough, setTimeout(listenMs)])
  socket.end()
  const inTime = await Promise.race([closed, setTimeout(10_000, false, { ref: false })])
  socket.destroy()
  return { received: Buffer.concat(chunks), closed: inTime }
}

/** The statuses of the answers in a stream of bytes; a body of these routes never looks like a status line. */
export function statusesIn(received: Buffer): number[] {
  return [...received.toString('latin1').matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map((match) => Number(match[1]))
}

/** A whole POST request. */
export function postBytes(path: string, body: string, ...headers: string[]): string {
  const all = [
    `POST ${path} HTTP/1.1`,
    'host: 127.0.0.1',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers
  ]
  return `${all.join('\r\n')}\r\n\r\n${body}`
}
