import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { Bookmark } from '../../src/http/bookmark.js'
import { type Retold, retell } from '../../src/http/retelling.js'
import type { StepEnd } from '../../src/schemas.js'
import type { TextEvent } from '../../src/text/text.js'
import { build, type Event, listen, parseEvents, postTo, Socket, until } from '../helper.js'

const completion = { prompt: 'The cat', n: 2, max_tokens: 12, steps: 8, echo: true, logprobs: 1 }
const requests: [url: string, request: object][] = [
  ['/v1/completions', { ...completion, stream: true, stream_options: { include_usage: true } }],
  ['/v1/completions', { ...completion, stream: true, drafts: true, stop: ' red green' }],
  ['/v1/infill', { template: ['A', { mask: 9 }, 'B', { mask: 5 }], steps: 6, seed: 7, stream: true }]
]

async function ask(app: FastifyInstance, url: string, payload: object, lastEventId?: string) {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  const answer = await app.inject({ method: 'POST', url, payload, headers })
  return { status: answer.statusCode, events: parseEvents(answer.body), body: answer.body }
}

/** What an event tells apart from when, and in which answer. */
function told({ event, data }: Event): unknown {
  if (data === '[DONE]') return data
  const timeless = (key: string, value: unknown) =>
    ['id', 'created', 'timings', 'fewstep'].includes(key) ? undefined : value
  return { event, ...JSON.parse(data, timeless) }
}

t.test('a stream goes on behind any of its events, each told once', async (t) => {
  const { app } = await build(t)
  for (const [url, request] of requests) {
    const { events } = await ask(app, url, request)
    const ids = events.map(({ id }) => id).filter((id) => id !== undefined)
    t.ok(ids.length > 5)
    t.equal(new Set(ids).size, ids.length)
    for (const [i, id] of ids.entries()) {
      const rest = await ask(app, url, request, id)
      t.same(rest.events.map(told), events.slice(i + 1).map(told), `behind ${id}`)
      t.same(
        rest.events.map(({ id }) => id),
        events.slice(i + 1).map(({ id }) => id)
      )
    }
  }
})

const STEPS = 8
const bookmarkOf = (id?: string) =>
  Bookmark.at(id, {}, {
    name: 'm',
    denoiser: { manifest: { variants: [] }, device: 'cpu' }
  } as unknown as Parameters<typeof Bookmark.at>[2])

/** A text whose step s reveals position s - 1; where `joins` says so, a step comes as one with the one before. */
function textEvents(joins: readonly boolean[], index = 0): TextEvent[] {
  const events = [{ type: 'sequence-start', index, seed: 1 } as TextEvent]
  for (let step = 1; step <= STEPS; step++) {
    const reveal = { position: step - 1, token: step * 7, step }
    const event = {
      type: 'step-end',
      index,
      step,
      reveals: [reveal],
      delta: `${step} `
    } as unknown as StepEnd
    const last = events.at(-1)!
    if (last.type === 'step-end' && joins[step]) {
      const delta = last.delta! + event.delta!
      events[events.length - 1] = { ...event, reveals: [...last.reveals, ...event.reveals], delta }
    } else events.push(event)
  }
  return [...events, { type: 'sequence-end', index } as TextEvent]
}

async function retold(events: TextEvent[], bookmark: Bookmark): Promise<Retold[]> {
  const all: Retold[] = []
  async function* source() {
    yield* events
  }
  for await (const event of retell(source(), bookmark)) if (event.id) all.push(event)
  return all
}

t.test(
  'however steps are joined and wherever a stream is cut, every reveal and delta is told once',
  async () => {
    const cut = fc.record({
      at: fc.nat({ max: STEPS + 1 }),
      joins: fc.array(fc.boolean(), { minLength: STEPS + 1, maxLength: STEPS + 1 })
    })
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { maxLength: 4 }), async (cuts) => {
        let id: string | undefined
        const told: TextEvent[] = []
        for (const { at, joins } of [...cuts, { at: Number.POSITIVE_INFINITY, joins: [] }]) {
          const events = (await retold(textEvents(joins), bookmarkOf(id))).slice(0, at)
          told.push(...events.map(({ event }) => event))
          id = events.at(-1)?.id ?? id
        }
        const steps = told.filter((event) => event.type === 'step-end')
        return (
          told[0]!.type === 'sequence-start' &&
          told.filter(({ type }) => type === 'sequence-end').length === 1 &&
          steps.map(({ delta }) => delta).join('') === '1 2 3 4 5 6 7 8 ' &&
          steps.flatMap(({ reveals }) => reveals.map(({ step }) => step)).join() === '1,2,3,4,5,6,7,8'
        )
      })
    )
  }
)

t.test('texts that come interleaved another way are each continued where they were', async (t) => {
  const [a, b] = [textEvents([]), textEvents([], 1)]
  const told = await retold([...a.slice(0, 6), ...b.slice(0, 2)], bookmarkOf())
  const rest = await retold([...b, ...a], bookmarkOf(told.at(-1)!.id))
  t.same(
    rest.map(({ event }) => event),
    [...b.slice(2), ...a.slice(6)]
  )
})

t.test('a text that ends before the step that its reader has is another one', async (t) => {
  const all = textEvents([])
  const known = await retold(all.slice(0, 6), bookmarkOf())
  const short = [...all.slice(0, 4), all.at(-1)!]
  await t.rejects(retold(short, bookmarkOf(known.at(-1)!.id)), { code: 'not_resumable' })
})

t.test('an id of another request, another seed or none at all is refused before any work', async (t) => {
  const { app, denoiser } = await build(t)
  const [url, request] = requests[2]!
  const { id } = (await ask(app, url, request)).events[2]!
  const passes = denoiser.passes.length
  for (const [body, lastEventId] of [
    [request, 'nonsense'],
    [{ ...request, steps: 7 }, id],
    [{ ...request, seed: 8 }, id],
    [{ ...request, deadline_ms: 1000 }, id]
  ] as [object, string][]) {
    const { status, body: text } = await ask(app, url, body, lastEventId)
    t.equal(status, 409)
    t.match(JSON.parse(text), { error: { code: 'not_resumable', param: 'last-event-id' } })
  }
  t.equal(denoiser.passes.length, passes)
  t.equal((await ask(app, url, { ...request, stream: false }, 'nonsense')).status, 200)
})

t.test('a server that writes another text says so, and tells nothing of it', async (t) => {
  const { app, denoiser } = await build(t)
  const [url, request] = requests[2]!
  const { id } = (await ask(app, url, request)).events[3]!
  denoiser.before = ({ coins }) => void coins.fill(0.999)
  const { events } = await ask(app, url, request, id)
  t.equal(events.length, 1)
  t.match(events[0], { event: 'error', data: /"not_resumable"/ })
  t.match((await app.inject('/metrics')).body, /^fewstep_errors_total{code="not_resumable"} 1$/m)
})

t.test('a client that is cut off frees its place at once, and its successor has the rest', async (t) => {
  const { app, denoiser, scheduler } = await build(t)
  const [url, request] = requests[2]!
  const whole = (await ask(app, url, request)).events
  const address = await listen(app)
  denoiser.passes = []
  const held = denoiser.holdAt(3)
  const controller = new AbortController()
  const answer = await postTo(address + url, request, { signal: controller.signal })
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  while (parseEvents(text).length < 3) text += (await reader.read()).value
  await held
  reader.cancel().catch(() => {})
  controller.abort()
  await until(() => scheduler.stats.running === 0)
  denoiser.release()
  const had = parseEvents(text)
  const rest = await ask(app, url, request, had.at(-1)!.id)
  t.same([...had, ...rest.events].map(told), whole.map(told))
})

t.test('a request goes on over another WebSocket', async (t) => {
  const { app } = await build(t)
  const address = await listen(app)
  const request = { prompt: 'The cat', max_tokens: 12, steps: 8 }
  const socket = await Socket.open(t, address)
  socket.send({ type: 'completion', id: 'a', request })
  const events = await socket.readUntil(({ type }) => type === 'sequence-end')
  for (const [i, { event_id: last_event_id }] of events.slice(0, -1).entries()) {
    const other = await Socket.open(t, address)
    other.send({ type: 'completion', id: 'a', request, last_event_id })
    const rest = await other.readUntil(({ type }) => type === 'sequence-end')
    t.same(rest.map(timeless), events.slice(i + 1).map(timeless))
    other.ws.close()
  }
  socket.send({ type: 'completion', id: 'a', request, last_event_id: 'nonsense' })
  t.match(await socket.next(), { type: 'error', id: 'a', error: { code: 'not_resumable' } })
  t.match((await app.inject('/metrics')).body, /^fewstep_errors_total{code="not_resumable"} 1$/m)
})

const timeless = ({ timings, ...event }: { timings?: unknown }) => event
