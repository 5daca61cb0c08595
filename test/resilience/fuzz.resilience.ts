/** Requests made from the API's own description, at a real server: each gets an answer that the description allows. */
import fc from 'fast-check'
import t from 'tap'
import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { startServer, TOYS } from '../integration/server-process.js'
import { fromSchema, type Schema } from './schema-arbitrary.js'

const REQUESTS = 20_000
const AT_ONCE = 32

interface Operation {
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } }
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, { schema: TSchema }> }>>
}
interface Case {
  readonly method: string
  readonly path: string
  readonly body: unknown
}

t.test(`${REQUESTS} requests made from openapi.json`, { timeout: 600_000 }, async (t) => {
  const { url, child } = await startServer(t, ...TOYS, '--log-level', 'error')
  let log = ''
  child.stderr!.on('data', (chunk) => {
    log += chunk
  })
  const { paths, components } = await (await fetch(`${url}/openapi.json`)).json()
  const cases = fc.sample(fc.oneof(...arbitraries(paths, components.schemas)), { numRuns: REQUESTS, seed: 1 })
  const statuses = new Map<number, number>()
  const wrong: string[] = []

  async function ask({ method, path, body }: Case): Promise<void> {
    const init =
      body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await fetch(
      url + path.replace('{id}', encodeURIComponent(String(body ?? 'toy-mixture'))),
      {
        method,
        ...(method === 'GET' ? {} : init)
      }
    )
    const { status } = answer
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    const text = await answer.text()
    const responses = (paths[path][method.toLowerCase()] as Operation).responses
    const described =
      responses[status] ??
      responses[`${Math.floor(status / 100)}xx`.toUpperCase()] ??
      responses[`${Math.floor(status / 100)}xx`]
    const [type] = (answer.headers.get('content-type') ?? '').split(';')
    const schema = described?.content?.[type!]?.schema
    const allowed =
      schema &&
      (type !== 'application/json' || Value.Check(components.schemas, local(schema), JSON.parse(text)))
    if (status >= 500 || !allowed)
      wrong.push(`${method} ${path} ${JSON.stringify(body)}: ${status} ${text.slice(0, 300)}`)
  }

  let done = false
  let looks = 0
  const watch = (async () => {
    while (!done) {
      if (!(await fetch(`${url}/health/live`)).ok) wrong.push('/health/live')
      looks++
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })()
  const waiting = cases.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const one of waiting) await ask(one)
    })
  )
  done = true
  await watch
  t.same(wrong.slice(0, 5), [])
  t.equal(log, '', 'nothing unexpected is logged')
  t.ok((statuses.get(200) ?? 0) > REQUESTS / 20, 'many are met')
  t.comment(`${JSON.stringify(Object.fromEntries(statuses))}, /health/live looked at ${looks} times`)
  const { models } = await (await fetch(`${url}/health/ready`)).json()
  for (const { queued, running, restarts } of models)
    t.match({ queued, running, restarts }, { queued: 0, running: 0, restarts: 0 })
})

function arbitraries(paths: Record<string, Record<string, Operation>>, schemas: Record<string, Schema>) {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { requestBody }]) => ({
      arbitrary: fc.record({
        method: fc.constant(method.toUpperCase()),
        path: fc.constant(path),
        body: requestBody
          ? fromSchema(requestBody.content['application/json'].schema, schemas)
          : fc.constant(undefined)
      }),
      weight: requestBody ? 8 : 1
    }))
  )
}

/** References of the document lead to the same schemas by their own names. */
function local(schema: TSchema): TSchema {
  return JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', ''))
}
