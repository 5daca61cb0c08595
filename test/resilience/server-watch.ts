/** What a trial can see of a server from outside. */
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { post, type ServerProcess } from '../integration/server-process.js'

/** The sum of a metric over the label sets that hold all of these. */
export async function metric(url: string, name: string, ...labels: string[]): Promise<number> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n')
  return lines
    .filter((line) => line.startsWith(name) && /[ {]/.test(line[name.length]!))
    .filter((line) => labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

/** Sequences that have ended, however. */
export const ended = (url: string) => metric(url, 'fewstep_sequences_total')

/** Resolves when no sequence waits or runs. Nobody else may ask for texts meanwhile. */
export async function atRest(url: string): Promise<void> {
  const held = async () =>
    (await metric(url, 'fewstep_queued_sequences')) + (await metric(url, 'fewstep_running_sequences'))
  while ((await held()) > 0) await setTimeout(20)
}

/** The file descriptors of a process: a connection or file that is never closed shows here. */
export async function descriptors({ child }: ServerProcess): Promise<number> {
  return (await readdir(`/proc/${child.pid}/fd`)).length
}

/** Resolves when a server holds no more file descriptors than `most`; false when it does after all that time. */
export async function descriptorsFall(
  server: ServerProcess,
  most: number,
  withinMs: number
): Promise<boolean> {
  const until = performance.now() + withinMs
  while ((await descriptors(server)) > most) {
    if (performance.now() > until) return false
    await setTimeout(50)
  }
  return true
}

/** Resident memory in MiB. */
export async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1024
}

/** The text that a request gets. The same request with a seed gets the same, whatever else happens. */
export async function textOf(url: string, request: object): Promise<string> {
  const answer = await post(`${url}/v1/completions`, request)
  const body = await answer.text()
  if (!answer.ok) throw new Error(`${answer.status} ${body}`)
  return JSON.parse(body).choices[0].text
}

export interface Health {
  readonly looks: number
  readonly lost: string[]
  /** The longest time for which the server's event loop was not free. */
  readonly lagMs: number
}

/** Looks at /health/live all the time while something is done; what is not green is lost. */
export async function watched(url: string, work: () => Promise<unknown>): Promise<Health> {
  const lost: string[] = []
  const lags: number[] = []
  let working = true
  let looks = 0
  const look = async () => {
    while (working) {
      const answer = await fetch(`${url}/health/live`).catch((error: Error) => error)
      if (!(answer instanceof Response && answer.ok)) lost.push(`/health/live: ${answer}`)
      if (looks++ % 20 === 0) lags.push(await metric(url, 'nodejs_eventloop_lag_max_seconds'))
      await setTimeout(50)
    }
  }
  const looking = look()
  try {
    await work()
  } finally {
    working = false
    await looking
  }
  return { looks, lost, lagMs: Math.round(1000 * Math.max(...lags)) }
}

/** Calls `work` for each, so many at once. */
export async function each<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<unknown>) {
  const waiting = items[Symbol.iterator]()
  const lane = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}
