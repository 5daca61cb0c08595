/** Requests made from the API's own description, at a real server: each gets an answer that the description allows. */
import fc from 'fast-check'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { startServer, TOYS } from '../integration/server-process.js'
import { fromSchema, type Schema } from './schema-arbitrary.js'
import { each, metric, watched } from './server-watch.js'
import { trial } from './trial.js'

const REQUESTS = 20_000
const AT_ONCE = 32

interface Operation {
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } }
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, { schema: TSchema }> }>>
}
interface Case {
  readonly method: string
  readonly path: string
  readonly id: string
  readonly body: unknown
}

trial(
  'requests made from `/openapi.json`, every field hostile now and then',
  'no 5xx, every answer valid by its schema, nothing logged',
  async (t) => {
    const { url, child } = await startServer(t, ...TOYS, '--log-level', 'error', '--data', t.testdir())
    let log = ''
    child.stderr!.on('data', (chunk) => {
      log += chunk
    })
    const { paths, components } = await (await fetch(`${url}/openapi.json`)).json()
    const cases = fc.sample(fc.oneof(...arbitraries(paths, components.schemas)), {
      numRuns: REQUESTS,
      seed: 1
    })
    const allows = answerChecker(paths, components.schemas)
    const statuses: Record<number, number> = {}
    const lost: string[] = []

    async function ask(one: Case): Promise<void> {
      const { method, path, id, body } = one
      const answer = await fetch(url + path.replace(/\{\w+\}/, encodeURIComponent(id)), {
        method,
        ...(method === 'POST' && {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body)
        })
      })
      const { status } = answer
      const text = await answer.text()
      statuses[status] = (statuses[status] ?? 0) + 1
      if (status < 500 && allows(one, status, answer.headers.get('content-type') ?? '', text)) return
      lost.push(`${method} ${path} ${JSON.stringify(body)}: ${status} ${text.slice(0, 300)}`)
    }

    const health = await watched(url, () => each(cases, AT_ONCE, ask))
    t.equal(log, '')
    t.ok((statuses[200] ?? 0) > REQUESTS / 10, 'many are met')
    t.equal(await metric(url, 'fewstep_denoiser_restarts_total'), 0)
    const note = `${JSON.stringify(statuses).replaceAll('"', '')}, event loop busy ${health.lagMs} ms at most`
    return { times: REQUESTS, lost: [...lost, ...health.lost], note }
  }
)

function arbitraries(paths: Record<string, Record<string, Operation>>, schemas: Record<string, Schema>) {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { requestBody }]) => ({
      arbitrary: fc.record({
        method: fc.constant(method.toUpperCase()),
        path: fc.constant(path),
        id: fc.oneof(fc.constant('toy-mixture'), fc.string({ unit: 'grapheme' })),
        body: requestBody?.content['application/json']
          ? fromSchema(requestBody.content['application/json'].schema, schemas)
          : fc.constant(undefined) // none, or a form: without its content type it is refused
      }),
      weight: requestBody ? 8 : 1
    }))
  )
}

/** Whether the description allows an answer. */
function answerChecker(paths: Record<string, Record<string, Operation>>, schemas: Record<string, TSchema>) {
  const checks = new Map<TSchema, (value: unknown) => boolean>()
  const check = (schema: TSchema, value: unknown) => {
    if (!checks.has(schema)) {
      const validator = Compile(local(schemas), local(schema))
      checks.set(schema, (checked) => validator.Check(checked))
    }
    return checks.get(schema)!(value)
  }
  return ({ method, path }: Case, status: number, contentType: string, text: string) => {
    const { responses } = paths[path]![method.toLowerCase()]!
    const described = responses[status] ?? responses[`${Math.floor(status / 100)}XX`]
    const type = contentType.split(';', 1)[0]!
    const schema = described?.content?.[type]?.schema
    return schema !== undefined && (type !== 'application/json' || check(schema, JSON.parse(text)))
  }
}

/** References of the document lead to the same schemas by their own names. */
function local<T>(schema: T): T {
  return JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', ''))
}
