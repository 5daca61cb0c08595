import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { Host, Network } from './network.js'

const PORT = 8080

/** A server on a host of its own. */
export class Replica {
  readonly host: Host
  readonly url: string
  readonly #flags: readonly string[]
  #server: ChildProcess

  constructor(host: Host, flags: readonly string[]) {
    this.host = host
    this.url = `http://${host.address}:${PORT}`
    this.#flags = flags
    this.#server = this.#serve()
  }

  kill(signal: NodeJS.Signals): void {
    this.#server.kill(signal)
  }

  /** Stops it as an orchestrator does: what it has accepted is written first. Gives its exit status. */
  async stop(): Promise<number | null> {
    const ended = once(this.#server, 'exit')
    this.kill('SIGTERM')
    const [status] = await ended
    return status
  }

  /** Starts it anew; resolves when it takes requests. */
  async start(): Promise<void> {
    this.#server = this.#serve()
    await ready(this.url)
  }

  #serve(): ChildProcess {
    const address = ['--host', this.host.address, '--port', String(PORT)]
    const command = [process.execPath, 'dist/cli.js', 'serve', ...address, '--log-level', 'error']
    return this.host.run([...command, ...this.#flags], {}, ['ignore', 'ignore', 'inherit'])
  }
}

export interface Fleet {
  /** Where clients ask: the balancer. */
  readonly url: string
  readonly replicas: ReadonlyMap<string, Replica>
}

/** Replicas a, b and c behind deploy/haproxy, each on a host of its own. Resolves when all take requests. */
export async function startFleet(network: Network, flags: readonly string[]): Promise<Fleet> {
  const replicas = ['a', 'b', 'c'].map((name) => new Replica(network.host(name), flags))
  const addresses = replicas.map(({ host }): [string, string] => [
    `FEWSTEP_${host.name.toUpperCase()}`,
    `${host.address}:${PORT}`
  ])
  const balancer = network.host('balancer')
  balancer.run(['haproxy', '-db', '-f', 'deploy/haproxy/haproxy.cfg'], Object.fromEntries(addresses))
  const url = `http://${balancer.address}:${PORT}`
  await Promise.all([...replicas, { url }].map((server) => ready(server.url)))
  return { url, replicas: new Map(replicas.map((replica) => [replica.host.name, replica])) }
}

/** Waits until requests are taken there. */
export async function ready(url: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(1000) }).catch(
      () => undefined
    )
    if (answer?.ok) return
    await setTimeout(200)
  }
  throw new Error(`${url} was not ready in a minute`)
}
