import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { Caller } from '../../src/bench/call.js'
import { transports } from '../../src/bench/plan.js'
import { servedAt } from '../../src/bench/served.js'
import { transportTo } from '../../src/bench/transport.js'
import { startStub } from './stub.js'

const reading = { signal: new AbortController().signal, slow: false }
const request = { model: 'stub', prompt: '', max_tokens: 8 }

for (const name of transports)
  t.test(`fewstep over ${name}: text, tokens, steps and timings`, async (t) => {
    const url = await startStub(t, { delayMs: 5 })
    const served = await servedAt(url, null)
    t.same(served, { kind: 'fewstep', models: [{ id: 'stub', steps: 4 }] })
    const transport = transportTo(name, { url, key: null, kind: 'fewstep' })
    for (const slow of [false, true]) {
      const written = await transport.write(request, { ...reading, slow })
      t.match(written, { text: ' a b c d e f g h', tokens: 8, steps: 4, timings: { passes: 4, pass_ms: 5 } })
      t.ok(written.firstStep! <= written.firstText)
    }
    await transport.close()
  })

for (const name of ['sse', 'http'] as const)
  t.test(
    `any OpenAI-compatible server over ${name}: what it tells, and nothing that it does not`,
    async (t) => {
      const url = await startStub(t, { kind: 'plain' })
      const served = await servedAt(url, null)
      t.same(served, { kind: 'openai', models: [{ id: 'stub', steps: null }] })
      const transport = transportTo(name, { url, key: null, kind: 'openai' })
      const written = await transport.write(request, reading)
      t.match(written, { text: ' a b c d e f g h', tokens: 8, steps: null, timings: null, firstStep: null })
      await transport.close()
    }
  )

/** Answers everything alike. */
async function serving(
  t: { teardown: (end: () => void) => void },
  status: number,
  body: string
): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const endings: [what: string, status: number, body: string, outcome: string, reason: string][] = [
  ['"not now" is refused', 429, '{"error":{"message":"later","code":"overloaded"}}', 'refused', 'overloaded'],
  ['503 is "not now", too', 503, 'upstream', 'refused', 'http_503'],
  [
    'an error is failed, by its code',
    400,
    '{"error":{"message":"no","code":"invalid"}}',
    'failed',
    'invalid'
  ],
  ['or by its status', 500, '{"error":"boom"}', 'failed', 'http_500'],
  [
    'a stream without an end is failed',
    200,
    'data: {"choices":[{"text":"a"}]}\n\n',
    'failed',
    'disconnected'
  ],
  [
    'so is one that ends in an error',
    200,
    'data: {"error":{"message":"no","type":"gone"}}\n\n',
    'failed',
    'gone'
  ]
]
for (const [what, status, body, outcome, reason] of endings)
  t.test(`${what}`, async (t) => {
    const url = await serving(t, status, body)
    const transport = transportTo('sse', { url, key: null, kind: 'openai' })
    const caller = new Caller(transport, 60_000, reading.signal)
    t.match(await caller.call(request, { due: performance.now(), slow: false }), { outcome, reason })
    await transport.close()
  })

for (const name of transports)
  t.test(`over ${name} a call ends by time, by its reader or by all`, async (t) => {
    const url = await startStub(t, { delayMs: 60_000 })
    const transport = transportTo(name, { url, key: null, kind: 'fewstep' })
    const interrupt = new AbortController()
    const soon = new Caller(transport, 30, interrupt.signal)
    const late = new Caller(transport, 60_000, interrupt.signal)
    const manner = { due: performance.now(), slow: false }
    t.match(await soon.call(request, manner), { outcome: 'timedOut', reason: 'timed_out' })
    t.match(await late.call(request, { ...manner, leavesAfterMs: 5 }), {
      outcome: 'cancelled',
      reason: 'left'
    })
    const last = late.call(request, manner)
    interrupt.abort()
    t.match(await last, { outcome: 'cancelled', reason: 'interrupted' })
    await transport.close()
  })

t.test('where no server of the kind answers, that is said', async (t) => {
  const bodies: [status: number, body: string, message: RegExp][] = [
    [
      404,
      'no',
      /--url: expected a fewstep or OpenAI-compatible server, got http:.* \(status 404 for \/v1\/models\)/
    ],
    [200, '<html>', /status 200 for/],
    [200, '{"data":[]}', /status 200 for/]
  ]
  for (const [status, body, message] of bodies)
    await t.rejects(servedAt(await serving(t, status, body), null), { message })
  await t.rejects(servedAt('nowhere', null), { message: /got nowhere \(no URL\)/ })
  await t.rejects(servedAt('http://127.0.0.1:9', null), { message: /\(ECONNREFUSED\)/ })
})
