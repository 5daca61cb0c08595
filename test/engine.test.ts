import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Engine, type Generation } from '../src/engine.js'
import type { RequestError } from '../src/errors.js'
import { Scheduler } from '../src/scheduler/scheduler.js'
import type { Sequence } from '../src/scheduler/sequence.js'
import type { CompletionRequest, InfillRequest, SequenceStart, StepEnd } from '../src/schemas.js'
import type { TextEnd, TextEvent } from '../src/text/text.js'
import { loadTokenizer } from '../src/tokenizer/gpt2-tokenizer.js'
import type { Tokenizer } from '../src/tokenizer/tokenizer.js'
import { flatCost } from './scheduler/flat-cost.js'
import { TableDenoiser } from './table-denoiser.js'
import { thrownBy } from './thrown-by.js'

const tokenizer = await loadTokenizer('models/tokenizers/gpt2')

function build(
  t: Test,
  options: { maxQueue?: number; maxBatchTokens?: number } = {},
  coder: Tokenizer = tokenizer
) {
  const sequences = new Set<Sequence>()
  const denoiser = new TableDenoiser()
  const scheduler = new Scheduler(denoiser, {
    maxQueue: 100,
    maxBacklogMs: Number.POSITIVE_INFINITY,
    maxBatchTokens: 1024,
    cost: flatCost(),
    prefer: 'latency',
    ...options
  })
  const engine = new Engine([{ name: 'table', denoiser, scheduler, tokenizer: coder }], {
    aliases: new Map([['gpt-3.5-turbo-instruct', 'table']]),
    onEvent: (_model, _event, sequence) => sequences.add(sequence),
    maxTextTokens: 200,
    maxTexts: 8
  })
  t.teardown(() => scheduler.close())
  const client = new AbortController()
  const options_ = { id: 'a', signal: client.signal }
  return {
    denoiser,
    scheduler,
    engine,
    sequences,
    client,
    complete: (request: CompletionRequest) => engine.complete(request, options_),
    infill: (request: InfillRequest) => engine.infill(request, options_)
  }
}

async function read(generation: Generation): Promise<TextEvent[]> {
  const events: TextEvent[] = []
  for await (const event of generation) events.push(event)
  return events
}

const endsOf = (events: TextEvent[]) =>
  events.filter((event): event is TextEnd => event.type === 'sequence-end')
const startsOf = (events: TextEvent[]) =>
  events.filter((event): event is SequenceStart => event.type === 'sequence-start')
const stepsOf = (events: TextEvent[]) => events.filter((event): event is StepEnd => event.type === 'step-end')

t.test('a completion starts, takes its steps and ends with its text', async (t) => {
  const { complete } = build(t)
  const events = await read(complete({ prompt: 'The cat', max_tokens: 12, steps: 5, seed: 1 }))
  const [start] = startsOf(events)
  const [end] = endsOf(events)
  t.match(start, {
    id: 'a',
    index: 0,
    model: 'table',
    seed: 1,
    length: 14,
    steps: 5,
    rows: 12,
    temperature: 1,
    top_p: 1,
    top_k: 0
  })
  t.same(start!.holes, [{ start: 2, length: 12 }])
  t.equal(stepsOf(events).length, start!.passes)
  t.equal(
    stepsOf(events)
      .map(({ delta }) => delta)
      .join(''),
    end!.text
  )
  t.match(end!.text, /^( red| green| blue){12}$/)
  t.same(end!.usage, { prompt_tokens: 2, completion_tokens: 12, total_tokens: 14 })
  t.equal(end!.finish_reason, 'length')
  t.equal(end!.tokens.map(({ text }) => text).join(''), end!.text)
  t.equal(end!.promptTokens.map(({ text }) => text).join(''), 'The cat')
  t.equal(end!.timings.passes, start!.passes)
})

t.test('the same seed gives the same text, another seed another', async (t) => {
  const { complete } = build(t)
  const write = async (seed: number) => endsOf(await read(complete({ max_tokens: 30, seed })))[0]!.text
  const first = await write(5)
  t.equal(await write(5), first)
  t.not(await write(6), first)
})

t.test('without a seed one is drawn and told, and repeats the text', async (t) => {
  const { complete } = build(t)
  const events = await read(complete({ max_tokens: 30 }))
  const again = await read(complete({ max_tokens: 30, seed: startsOf(events)[0]!.seed }))
  t.equal(endsOf(again)[0]!.text, endsOf(events)[0]!.text)
})

t.test('several prompts and choices are texts of their own, prompt by prompt', async (t) => {
  const { complete } = build(t)
  const generation = complete({ prompt: ['The cat', 'A dog sat'], n: 2, max_tokens: 20, seed: 1 })
  t.equal(generation.texts, 4)
  const ends = endsOf(await read(generation)).sort((a, b) => a.index - b.index)
  t.same(
    ends.map(({ usage }) => usage.prompt_tokens),
    [2, 2, 3, 3]
  )
  t.equal(new Set(ends.map(({ text }) => text)).size, 4)
})

t.test('best_of returns the likeliest a token and only those', async (t) => {
  const { complete } = build(t)
  const all = endsOf(await read(complete({ n: 6, max_tokens: 20, seed: 3 })))
  const mean = ({ tokens }: TextEnd) =>
    tokens.reduce((sum, { probability }) => sum + Math.log(probability), 0)
  const ranked = all.sort((a, b) => mean(b) - mean(a)).map(({ text }) => text)
  const generation = complete({ n: 2, best_of: 6, max_tokens: 20, seed: 3 })
  t.equal(generation.texts, 2)
  const events = await read(generation)
  t.same(
    endsOf(events).map(({ text }) => text),
    ranked.slice(0, 2)
  )
  t.same(
    endsOf(events).map(({ index }) => index),
    [0, 1]
  )
  t.equal(startsOf(events).length, 2)
})

t.test('an infill fills each hole exactly and leaves the rest', async (t) => {
  const { infill } = build(t)
  const events = await read(
    infill({ template: ['Once ', { mask: 4 }, ' and ', { mask: 2 }, '.'], seed: 2, alternatives: 2 })
  )
  const [end] = endsOf(events)
  t.match(end!.text, /^Once ( red| green| blue){4} and ( red| green| blue){2}\.$/)
  t.same(
    end!.holes.map(({ length }) => length),
    [4, 2]
  )
  t.equal(end!.text, `Once ${end!.holes[0]!.text} and ${end!.holes[1]!.text}.`)
  t.equal(end!.usage.completion_tokens, 6)
  for (const token of end!.tokens) {
    t.equal(token.alternatives!.length, 2)
    t.ok(token.step >= 1 && token.step <= 4)
  }
  t.notOk('delta' in stepsOf(events)[0]!)
})

t.test('a stop string ends the text and takes no further pass', async (t) => {
  const { complete, scheduler, denoiser } = build(t)
  const full = endsOf(await read(complete({ max_tokens: 60, steps: 60, seed: 4 })))[0]!.text
  const passes = denoiser.passes.length
  const stop = full.slice(0, 40).match(/ (red|green|blue)/g)![1]!
  const [end] = endsOf(await read(complete({ max_tokens: 60, steps: 60, seed: 4, stop })))
  t.equal(end!.text, full.slice(0, full.indexOf(stop)))
  t.equal(end!.finish_reason, 'stop')
  t.ok(denoiser.passes.length - passes <= passes)
  t.equal(scheduler.stats.running, 0)
})

t.test('a text took as long as it was written, however late its end is read', async (t) => {
  const { complete, scheduler, sequences } = build(t)
  const generation = complete({ max_tokens: 20, steps: 4 })
  await scheduler.drain()
  const [end] = endsOf(await read(generation))
  const [{ createdAt, endedAt }] = [...sequences] as [Sequence]
  t.equal(end!.timings.total_ms, Math.round((endedAt! - createdAt) * 1000) / 1000)
})

t.test('a client that leaves frees its place at once', async (t) => {
  const { complete, scheduler, client } = build(t)
  const events = read(complete({ max_tokens: 60, steps: 50 }))
  t.equal(scheduler.stats.running, 1)
  client.abort()
  t.equal(scheduler.stats.running, 0)
  await t.rejects(events, { code: 'cancelled' })
  t.equal(scheduler.endings.cancelled.cancelled, 1)
})

t.test('a reader that stops reading frees its place', async (t) => {
  const { complete, scheduler } = build(t)
  for await (const event of complete({ n: 3, max_tokens: 60, steps: 50 }))
    if (event.type === 'step-end') break
  t.equal(scheduler.stats.running, 0)
  t.equal(scheduler.endings.cancelled.request_failed, 3)
})

t.test('a snapshot tells everything revealed so far', async (t) => {
  const { complete } = build(t)
  const generation = complete({ max_tokens: 20, steps: 10, seed: 1 })
  const revealed: number[] = []
  t.match(generation.snapshot(), [{ step: 0, t: 1, reveals: [], masked: 20 }])
  for await (const event of generation) {
    if (event.type !== 'step-end') continue
    revealed.push(...event.reveals.map(({ position }) => position))
    const [snapshot] = generation.snapshot()
    t.same(
      snapshot!.reveals.map(({ position }) => position),
      revealed
    )
    t.equal(snapshot!.masked, 20 - revealed.length)
  }
  t.same(generation.snapshot(), [])
})

t.test('a text longer than the context is written in windows', async (t) => {
  const { complete } = build(t)
  const events = await read(complete({ prompt: 'The cat', max_tokens: 150, steps: 4, seed: 1 }))
  t.equal(endsOf(events)[0]!.usage.completion_tokens, 150)
  t.match(endsOf(events)[0]!.text, /^( red| green| blue){150}$/)
  t.equal(startsOf(events)[0]!.steps, 4 * 4)
})

t.test('fewer steps are taken when a deadline will not hold all, and the text is whole', async (t) => {
  const { complete, denoiser } = build(t)
  denoiser.before = () => delay(5)
  await read(complete({ max_tokens: 60, steps: 5 })) // teaches the cost of a pass
  const events = await read(complete({ max_tokens: 60, steps: 1000, deadline_ms: 60 }))
  const [end] = endsOf(events)
  t.ok(startsOf(events)[0]!.steps < 100)
  t.equal(end!.usage.completion_tokens, 60)
  t.ok(end!.timings.total_ms < 120, `${end!.timings.total_ms} ms`)
})

t.test('a deadline that holds a pass for each position cuts no steps: the others cost nothing', async (t) => {
  const { complete } = build(t)
  const events = await read(complete({ max_tokens: 20, steps: 1000, deadline_ms: 500 }))
  t.equal(startsOf(events)[0]!.steps, 1000)
})

t.test('a deadline that cannot be met is refused at once: for good, or until others have gone', async (t) => {
  const { complete, engine, denoiser } = build(t, { maxQueue: 100 })
  denoiser.before = () => delay(5)
  await read(complete({ max_tokens: 60, steps: 5 })) // teaches the cost of a pass
  t.throws(() => complete({ max_tokens: 60, deadline_ms: 1 }), {
    code: 'deadline_too_short',
    status: 400,
    param: 'deadline_ms',
    message: /^deadline_ms: expected at least \d+ for a text of 61 tokens, got 1$/
  })
  const others = Array.from({ length: 40 }, () => complete({ max_tokens: 60, steps: 40 }))
  const reading = others.map(read)
  const error = thrownBy(() => complete({ max_tokens: 60, deadline_ms: 60 })) as RequestError
  t.match(error, {
    code: 'overloaded',
    status: 429,
    param: 'deadline_ms',
    message: /while others wait, got 60\. Try again/
  })
  t.ok(error.retryAfterMs! > 0)
  t.equal(engine.models[0]!.scheduler.endings.refused.deadline, 1)
  engine.models[0]!.scheduler.close()
  await Promise.allSettled(reading)
})

t.test('what would hold up the tokenizer is refused before it is encoded, by its field', async (t) => {
  const { complete, infill } = build(t)
  const long = 'ab '.repeat(96 * 200)
  const refused = (param: string) => ({
    code: 'context_length_exceeded',
    param,
    message: /characters in all, got/
  })
  t.throws(() => complete({ prompt: long }), refused('prompt'))
  t.throws(() => complete({ prompt: [long.slice(0, 19_000), long.slice(0, 300)] }), refused('prompt'))
  t.throws(() => complete({ prompt: 'a', suffix: long }), refused('prompt'))
  t.throws(() => infill({ template: [long, { mask: 3 }] }), refused('template'))
})

t.test('a full queue refuses a prompt that it has not encoded', async (t) => {
  let encoded = 0
  const counting = {
    ...tokenizer,
    encode: (...args: Parameters<typeof tokenizer.encode>) => {
      encoded++
      return tokenizer.encode(...args)
    }
  }
  const { complete } = build(t, { maxQueue: 1, maxBatchTokens: 1 }, counting)
  const accepted = [1, 2].map(() => complete({ prompt: 'The cat', max_tokens: 50 }))
  const before = encoded
  t.throws(() => complete({ prompt: 'The cat', max_tokens: 50 }), { code: 'overloaded' })
  t.equal(encoded, before)
  await Promise.all(accepted.map(read))
  await read(complete({ prompt: 'The cat', max_tokens: 5, n: 2 }))
  t.equal(encoded, before + 2, 'a prompt and its suffix are encoded once, for all its completions')
})

t.test('a deadline that strikes says so', async (t) => {
  const { complete, denoiser, scheduler } = build(t)
  denoiser.before = () => delay(10) // ten times what was measured
  const events = await read(complete({ max_tokens: 60, steps: 1000, deadline_ms: 30 }))
  t.equal(endsOf(events)[0]!.finish_reason, 'deadline')
  t.equal(scheduler.endings.completed.deadline, 1)
  t.equal(endsOf(events)[0]!.usage.completion_tokens, 60)
})

t.test('names and aliases resolve; another name is refused with the names there are', async (t) => {
  const { engine, complete } = build(t)
  t.equal(engine.resolve(null).name, 'table')
  t.equal(engine.resolve('gpt-3.5-turbo-instruct').name, 'table')
  t.throws(() => complete({ model: 'gpt-4' }), {
    code: 'model_not_found',
    param: 'model',
    message: 'model: expected one of table, gpt-3.5-turbo-instruct, got "gpt-4"'
  })
})

t.test('what a request asks that cannot be met is refused by name', async (t) => {
  const { complete, scheduler } = build(t)
  const refusals: [CompletionRequest, string, string][] = [
    [{ steps: 1001 }, 'invalid_request', 'steps'],
    [{ n: 9 }, 'invalid_request', 'n'],
    [{ prompt: new Array(9).fill('a') }, 'invalid_request', 'prompt'],
    [{ n: 2, best_of: 1 }, 'invalid_request', 'best_of'],
    [{ best_of: 2, stream: true }, 'invalid_request', 'best_of'],
    [{ best_of: 9 }, 'invalid_request', 'best_of'],
    [{ frequency_penalty: 0.5 }, 'unsupported_parameter', 'frequency_penalty'],
    [{ presence_penalty: -1 }, 'unsupported_parameter', 'presence_penalty'],
    [{ logit_bias: { 50: 0, 60: 3 } }, 'unsupported_parameter', 'logit_bias'],
    [{ max_tokens: 1000 }, 'context_length_exceeded', 'max_tokens']
  ]
  for (const [request, code, param] of refusals) t.throws(() => complete(request), { code, param })
  t.equal(scheduler.stats.running, 0)
  const harmless = {
    frequency_penalty: 0,
    presence_penalty: 0,
    logit_bias: { 50: 0 },
    best_of: 0,
    suffix: null,
    stop: null
  }
  t.equal(endsOf(await read(complete({ ...harmless, max_tokens: 3 }))).length, 1)
})

t.test('a full queue refuses the whole request', async (t) => {
  const { complete, scheduler } = build(t, { maxQueue: 2, maxBatchTokens: 64 })
  const running = complete({ max_tokens: 40, n: 3 })
  t.throws(() => complete({ max_tokens: 40 }), { code: 'overloaded' })
  t.same([scheduler.stats.running, scheduler.stats.queued], [1, 2])
  t.equal(endsOf(await read(running)).length, 3)
})

t.test('draining ends when what was accepted has been read', async (t) => {
  const { engine, scheduler, complete } = build(t)
  const [slow, left] = [complete({ max_tokens: 8, seed: 1 }), complete({ max_tokens: 8, seed: 2 })]
  const reader = slow[Symbol.asyncIterator]()
  await reader.next()
  let drained = false
  const drain = engine.drain().then(() => {
    drained = true
  })
  await scheduler.drain()
  await read(left)
  await delay(0)
  t.notOk(drained, 'one still reads')
  while (!(await reader.next()).done);
  await drain
})

t.test('draining waits for no client who has left', async (t) => {
  const { engine, client, complete } = build(t)
  complete({ max_tokens: 8 })
  client.abort()
  await engine.drain()
})
