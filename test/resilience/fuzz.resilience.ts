/** Requests made from the API's own description, at real servers: each gets an answer that the description allows. */
import { join } from 'node:path'
import fc from 'fast-check'
import type { Test } from 'tap'
import { newKey } from '../../src/api-keys.js'
import { type ServerProcess, startServer, TOYS } from '../integration/server-process.js'
import { AnswerChecker, type Description, eventsOf } from './answer-checker.js'
import { type Case, fuzzCases } from './fuzz-cases.js'
import { SEED } from './seed.js'
import { each, metric, watched } from './server-watch.js'
import { trial } from './trial.js'

const REQUESTS = 20_000
const AT_ONCE = 32
/** Answers that each operation gives at least, and streams that are checked, event by event. */
const MET = 20
const STREAMS = 300

/** Somebody who asks, and what is known to them. */
interface Client {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Has no key, where one is asked for. */
  readonly stranger: boolean
  readonly files: string[]
  readonly results: Set<string>
  readonly batches: string[]
  readonly streams: { path: string; body: unknown; id: string }[]
}

trial(
  'requests made from `/openapi.json` (JSON, forms, queries, headers, keys), every field hostile now and then',
  `no 5xx, every answer and event exactly as described, nothing logged; each operation met ${MET} times, ${STREAMS} streams checked`,
  async (t) => {
    const keys = ['ann', 'bob'].map((name) => newKey(name, 'text'))
    t.teardown(() => {}) // tap ends first what came first: the folder is to go when its servers have gone
    const folder = t.testdir({ open: {}, closed: {} })
    const open = await start(t, join(folder, 'open'))
    const closed = await start(t, join(folder, 'closed'), ...keys.flatMap(({ line }) => ['--api-key', line]))
    const clients = [
      client(open.url),
      client(open.url),
      ...keys.map(({ secret }) => client(closed.url, secret)),
      client(closed.url, 'fs-nobody', true)
    ]
    const description: Description = await (await fetch(`${open.url}/openapi.json`)).json()
    const checker = new AnswerChecker(description)
    const cases = fc.sample(fuzzCases(description), { numRuns: REQUESTS, seed: SEED })
    const statuses: Record<number, number> = {}
    const met = new Map(cases.map(({ method, path }) => [`${method} ${path}`, 0]))
    const lost: string[] = []
    let streams = 0

    async function ask(one: Case): Promise<void> {
      const { method, path, operation } = one
      const who = clients[one.who % clients.length]!
      const { target, init, body } = request(one, who)
      const answer = await fetch(target, init)
      const text = await answer.text()
      const { status, ok } = answer
      statuses[status] = (statuses[status] ?? 0) + 1
      if (ok) met.set(`${method} ${path}`, met.get(`${method} ${path}`)! + 1)
      if (answer.headers.get('content-type')?.startsWith('text/event-stream')) {
        streams++
        for (const { id } of eventsOf(text))
          if (id && !id.endsWith('_end')) who.streams.push({ path, body, id })
      }
      const fault = checker.answer(operation, path, answer, text) ?? (ok && remember(one, who, target, text))
      const seen =
        who.stranger && ok && /^\/(v1|v2\/models|metrics)/.test(path) ? 'no key was asked for' : fault
      if (seen) lost.push(`${method} ${target} ${JSON.stringify(init)}: ${seen}; ${text.slice(0, 300)}`)
    }

    /** What comes of an answer. @returns what is wrong with it beyond its form */
    function remember({ method, path }: Case, who: Client, target: string, text: string): string | undefined {
      const id = decodeURIComponent(new URL(target).pathname.split('/')[3] ?? '')
      if (`${method} ${path}` === 'POST /v1/files') who.files.push(JSON.parse(text).id)
      if (`${method} ${path}` === 'POST /v1/batches') who.batches.push(JSON.parse(text).id)
      if (method === 'DELETE') who.files.splice(who.files.indexOf(id), 1)
      if (path === '/v1/batches/{id}') {
        const { output_file_id: output, error_file_id: errors } = JSON.parse(text)
        for (const file of [output, errors]) {
          if (!file || who.results.has(file)) continue
          who.results.add(file)
          who.files.push(file)
        }
      }
      if (path !== '/v1/files/{id}/content' || !who.results.has(id)) return undefined
      const lines = text.trimEnd().split('\n')
      return lines.map((line) => checker.named('BatchResult', JSON.parse(line))).find(Boolean)
    }

    const health = await watched(open.url, () => each(cases, AT_ONCE, ask))
    for (const [operation, times] of met) t.ok(times >= MET, `${operation} was met ${times} times`)
    t.ok(streams >= STREAMS, `${streams} streams were checked`)
    t.same([open.log(), closed.log()], ['', ''])
    t.equal(await metric(open.url, 'fewstep_denoiser_restarts_total'), 0)
    const note = `${JSON.stringify(statuses).replaceAll('"', '')}, ${streams} streams, event loop busy ${health.lagMs} ms at most`
    return { times: REQUESTS, lost: [...lost, ...health.lost], note }
  }
)

async function start(t: Test, data: string, ...flags: string[]): Promise<ServerProcess & { log(): string }> {
  const server = await startServer(t, ...TOYS, '--log-level', 'error', '--data', data, ...flags)
  let log = ''
  server.child.stderr!.on('data', (chunk) => {
    log += chunk
  })
  return { ...server, log: () => log }
}

function client(url: string, key?: string, stranger = false): Client {
  const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {}
  return { url, headers, stranger, files: [], results: new Set(), batches: [], streams: [] }
}

function request(one: Case, who: Client) {
  const { path, pick, form, method } = one
  const known = path.includes('batches') ? who.batches : path.includes('files') ? who.files : ['toy-mixture']
  const id = (one.knownId ? newest(known, pick) : undefined) ?? one.id
  const before = one.resumes
    ? newest(
        who.streams.filter((stream) => stream.path === path),
        pick
      )
    : undefined
  const file = newest(who.files, pick)
  const made = path === '/v1/batches' && file && one.body ? { ...one.body, input_file_id: file } : one.body
  const body = before?.body ?? made
  const headers: Record<string, string> = { ...one.headers, ...who.headers }
  if (before) headers['last-event-id'] = before.id
  if (body !== undefined) headers['content-type'] = 'application/json'
  const query = new URLSearchParams(one.query)
  const target = `${who.url}${path.replace(/\{\w+\}/, encodeURIComponent(id))}?${query}`
  const bytes = form ? formData(form) : JSON.stringify(body)
  return {
    target,
    body,
    init: { method, headers, ...(method === 'POST' && bytes !== undefined && { body: bytes }) }
  }
}

/** One of the last: batches end and files go. */
function newest<T>(known: readonly T[], pick: number): T | undefined {
  return known.at(-1 - (pick % Math.min(8, known.length)))
}

function formData({ fields, lines, name }: NonNullable<Case['form']>): FormData {
  const data = new FormData()
  for (const [field, value] of Object.entries(fields)) data.set(field, value)
  data.set('file', new Blob([lines.join('\n')]), name)
  return data
}
