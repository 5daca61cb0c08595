/** A NATS server of a test's own, which may be killed and started again. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Test } from 'tap'

/** Why tests that need one are skipped; false where it is installed. */
export const noNats: string | false = (() => {
  try {
    execFileSync('nats-server', ['--version'])
    return false
  } catch {
    return 'nats-server is not installed'
  }
})()

export class NatsServer {
  readonly port: number
  readonly #folder: string
  readonly #flags: readonly string[]
  #child: ChildProcess | undefined

  private constructor(port: number, folder: string, flags: readonly string[]) {
    this.port = port
    this.#folder = folder
    this.#flags = flags
  }

  /** It keeps streams, unless told otherwise. */
  static async start(t: Test, flags: readonly string[] = ['--jetstream']): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), t.testdir(), flags)
    t.teardown(() => server.kill())
    await server.start()
    return server
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Again, with what it had stored. */
  async start(): Promise<void> {
    const where = ['--addr', '127.0.0.1', '--port', `${this.port}`, '--store_dir', this.#folder]
    this.#child = spawn('nats-server', [...where, ...this.#flags], { stdio: 'ignore' })
    while (!(await answers(this.port))) await setTimeout(20)
  }

  /** It is there, and answers nothing. */
  hang(): void {
    this.#child!.kill('SIGSTOP')
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return once(socket, 'data')
    .then(
      () => true,
      () => false
    )
    .finally(() => socket.destroy())
}
