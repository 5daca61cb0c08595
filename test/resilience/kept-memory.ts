/** Memory that a server would not give back: what is left of its heap and buffers when garbage has been collected. */
import { once } from 'node:events'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { type ServerProcess, startServerWith } from '../integration/server-process.js'

interface Inspected extends ServerProcess {
  /** Collects the server's garbage. @returns KiB of heap and of buffers outside it that stay */
  keptKib(): Promise<number>
}

/** A server whose garbage can be collected from outside, through Node's inspector. */
export async function startInspected(t: Test, ...flags: string[]): Promise<Inspected> {
  const env = { NODE_OPTIONS: '--inspect-port=0' }
  const server = await startServerWith(t, { env }, ...flags)
  server.child.kill('SIGUSR1') // opens the inspector
  const [inspectorUrl] = await server.logged(/ws:\S+/)
  const keptKib = async () => {
    const socket = new WebSocket(inspectorUrl)
    await once(socket, 'open')
    await call(socket, 'HeapProfiler.collectGarbage')
    const { result } = await call(socket, 'Runtime.evaluate', {
      expression: 'process.memoryUsage()',
      returnByValue: true
    })
    socket.close()
    return (result.value.heapUsed + result.value.external) / 1024
  }
  return { ...server, keptKib }
}

async function call(socket: WebSocket, method: string, params = {}) {
  socket.send(JSON.stringify({ id: 1, method, params }))
  for (;;) {
    const { id, result } = JSON.parse(String((await once(socket, 'message'))[0]))
    if (id === 1) return result
  }
}
