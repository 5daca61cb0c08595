import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'

export interface ServerProcess {
  readonly url: string
  readonly child: ChildProcess
  /** Process ids of the denoisers. */
  denoisers(): Promise<number[]>
  /** Resolves when the log of the time since the last call says so, with what matches. */
  logged(message: RegExp): Promise<RegExpExecArray>
}

/** The built server as a user starts it, on a free port. */
export function startServer(t: Test, ...flags: string[]): Promise<ServerProcess> {
  return startServerWith(t, {}, ...flags)
}

/** The same with an environment, or an error output, of its own. */
export async function startServerWith(
  t: Test,
  { env, stderr = 'pipe' }: { env?: NodeJS.ProcessEnv; stderr?: 'pipe' | number },
  ...flags: string[]
): Promise<ServerProcess> {
  const options: SpawnOptions = { stdio: ['ignore', 'pipe', stderr], env: { ...process.env, ...env } }
  const child = spawn(process.execPath, ['dist/cli.js', 'serve', '--port', '0', ...flags], options)
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  let errors = ''
  child.stderr?.on('data', (chunk) => {
    errors += chunk
  })
  for await (const line of createInterface(child.stdout!)) {
    const url = line.match(/https?:\/\/([\d.]+|localhost):\d+/)?.[0]
    if (!url) continue
    child.stdout!.resume()
    const logged = async (message: RegExp) => {
      for (;;) {
        const found = message.exec(errors)
        if (found) {
          errors = ''
          return found
        }
        await once(child.stderr!, 'data')
      }
    }
    return { url, child, denoisers: () => childrenOf(child.pid!), logged }
  }
  throw new Error(`the server ended before it listened: ${errors}`)
}

export async function childrenOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return children.split(' ').filter(Boolean).map(Number)
}

/** The toy models: three words, a context of 16. */
export const TOYS = [
  '--model',
  'test/fixtures/models/toy-mixture',
  '--model',
  'test/fixtures/models/toy-product',
  '--device',
  'cpu'
]

export async function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
}
