import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url))

export interface OwnServer {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** `fewstep serve` as a process of its own, on a free port of this machine. @throws {Error} when it ends instead */
export async function startOwnServer(): Promise<OwnServer> {
  const child = spawn(process.execPath, [CLI, 'serve', '--port', '0', '--log-level', 'error'], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'exit')
  for await (const line of createInterface(child.stdout)) {
    const url = /serves .* at (http:\S+)/.exec(line)?.[1]
    if (!url) continue
    child.stdout.resume()
    return {
      url,
      pid: child.pid!,
      async stop() {
        child.kill('SIGTERM')
        await ended
      }
    }
  }
  const [code] = await ended
  throw new Error(`fewstep serve ended with status ${code}`)
}
