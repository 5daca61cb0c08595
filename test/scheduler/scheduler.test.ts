import type { Clock } from '@sinonjs/fake-timers'
import t, { type Test } from 'tap'
import { type Denoiser, DenoiserLost, type Pass } from '../../src/denoiser/denoiser.js'
import { Cancellation, type RequestError } from '../../src/errors.js'
import { TURN } from '../../src/scheduler/admission.js'
import type { Client } from '../../src/scheduler/fair-queue.js'
import { lengthBucket } from '../../src/scheduler/length-bucket.js'
import { PassCost } from '../../src/scheduler/pass-cost.js'
import { Scheduler, type SchedulerOptions } from '../../src/scheduler/scheduler.js'
import type { Priority, Sequence } from '../../src/scheduler/sequence.js'
import type { SequenceStep } from '../../src/scheduler/step-stream.js'
import { chiSquareDeviation } from '../chi-square.js'
import { referenceChainLaw } from '../reference-chain.js'
import { BOS, MASK, TableDenoiser, TOKENS, tokenLaw } from '../table-denoiser.js'
import { thrownBy } from '../thrown-by.js'
import { flatCost } from './flat-cost.js'
import { makeSequence } from './make-sequence.js'
import { goOn, VirtualDevice, virtualTime } from './virtual-device.js'

const CONTEXT = 64

function schedulerOn(denoiser: Denoiser, changes: Partial<SchedulerOptions> = {}): Scheduler {
  return new Scheduler(denoiser, {
    maxQueue: 1000,
    maxBacklogMs: Number.POSITIVE_INFINITY,
    maxBatchTokens: 4 * CONTEXT,
    cost: flatCost(),
    prefer: 'latency',
    ...changes
  })
}

async function read(sequence: Sequence): Promise<SequenceStep[]> {
  const steps: SequenceStep[] = []
  for await (const step of sequence.stream) steps.push(step)
  return steps
}

function stopTime(t: Test): Clock {
  const clock = virtualTime()
  t.teardown(() => clock.uninstall())
  return clock
}

const tokensOf = (sequence: Sequence) => Array.from(sequence.options.tokens)
const sequencesIn = (pass: Pass) => pass.lengths.length

t.test('the law of what is written is that of the reference chain, batched with mixed steps', async (t) => {
  // 30,000 texts of 27 kinds a step count: a total variation of 0.03 is seen with power above 0.99.
  const texts = 30_000
  const atoms = [0.25, 0.75]
  for (const steps of [1, 2, 3]) {
    const denoiser = new TableDenoiser()
    const scheduler = schedulerOn(denoiser, { maxQueue: 2 * texts })
    const counts = new Map<string, number>()
    const others = [1, 2, 3, 5].filter((other) => other !== steps)
    for (let seed = 0; seed < texts; seed += 500) {
      const watched = Array.from({ length: 500 }, (_, i) => makeSequence(3, steps, seed + i))
      const neighbours = Array.from({ length: 100 }, (_, i) =>
        makeSequence(1 + (i % 40), others[i % others.length]!, seed + i)
      )
      scheduler.submit(
        [...watched, ...neighbours].sort((a, b) => ((a.rows * 7919) % 13) - ((b.rows * 7919) % 13))
      )
      await Promise.all([...watched, ...neighbours].map(read))
      for (const text of watched) {
        const key = tokensOf(text).join()
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      denoiser.passes.length = 0
    }
    const law = referenceChainLaw([BOS, MASK, MASK, MASK], MASK, steps, TOKENS, tokenLaw, atoms)
    const keys = [...law.keys()]
    t.equal(keys.length, 27)
    t.ok([...counts.keys()].every((key) => law.has(key)))
    const deviation = chiSquareDeviation(
      keys.map((key) => counts.get(key) ?? 0),
      keys.map((key) => law.get(key)!)
    )
    t.ok(Math.abs(deviation) < 4, `${steps} steps: ${deviation.toFixed(2)} deviations`)
    // The law of another number of steps, which is what a wrong plan or a shared lambda would look like, is told apart.
    const wrong = referenceChainLaw([BOS, MASK, MASK, MASK], MASK, (steps % 3) + 1, TOKENS, tokenLaw, atoms)
    t.ok(
      chiSquareDeviation(
        keys.map((key) => counts.get(key) ?? 0),
        keys.map((key) => wrong.get(key)!)
      ) > 6
    )
  }
})

t.test(
  'the backlog is the time of all passes that accepted sequences still need, and shrinks to nothing',
  async (t) => {
    stopTime(t)
    const denoiser = new TableDenoiser()
    const cost = new PassCost({ fixedMs: 8, msPerToken: 0.5, msPerRow: 0.25 })
    const scheduler = schedulerOn(denoiser, { cost, maxBatchTokens: 64 })
    t.equal(scheduler.backlogMs, 0)
    const sequences = [makeSequence(20, 4, 1), makeSequence(20, 4, 2), makeSequence(40, 1, 3)]
    const tokens = 24 * (sequences[0]!.passes + sequences[1]!.passes) + lengthBucket(41, CONTEXT)
    scheduler.submit(sequences)
    t.equal(scheduler.stats.queued, 1)
    t.equal(scheduler.backlogMs, 8 * Math.ceil(tokens / 64) + 0.5 * tokens + 0.25 * 80)
    // One lone text needs a pass a step, however much room there is beside it.
    scheduler.leave(sequences.slice(1))
    t.equal(scheduler.endings.completed.stop, 2)
    t.equal(scheduler.backlogMs, 8 * 4 + 0.5 * 24 * 4 + 0.25 * 20)
    await read(sequences[0]!)
    t.equal(scheduler.backlogMs, 0)
  }
)

t.test('what a pass has had by now is no longer owed', async (t) => {
  const clock = stopTime(t)
  const cost = new PassCost({ fixedMs: 8, msPerToken: 0.5, msPerRow: 0.25 })
  const scheduler = schedulerOn(new TableDenoiser(), { cost })
  scheduler.submit([makeSequence(20, 4, 1)])
  const owed = scheduler.backlogMs
  clock.tick(5)
  t.equal(scheduler.backlogMs, owed - 5)
  clock.tick(1000) // it takes longer than it should: the other passes are owed all the same
  t.ok(scheduler.backlogMs > owed / 2)
  scheduler.close()
})

t.test('texts that are each longer than a pass should be owe a pass a step', async (t) => {
  stopTime(t)
  const scheduler = schedulerOn(new TableDenoiser(), {
    maxBatchTokens: 1,
    cost: new PassCost({ fixedMs: 8, msPerToken: 0.5, msPerRow: 0.25 })
  })
  const [a, b] = [makeSequence(20, 4, 1), makeSequence(20, 4, 2)]
  scheduler.submit([a!, b!])
  const passes = a!.passes + b!.passes
  t.equal(scheduler.backlogMs, 8 * passes + 0.5 * 24 * passes + 0.25 * 40)
  scheduler.close()
})

t.test('rows evaluated are tokens written, and a step that reveals nothing costs no pass', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  const text = makeSequence(5, 900, 1)
  scheduler.submit([text])
  const steps = await read(text)
  t.equal(denoiser.passes.length, steps.length)
  t.ok(steps.length <= 5)
  t.equal(
    denoiser.passes.reduce((sum, { rows }) => sum + rows.length, 0),
    5
  )
  t.equal(text.passes, steps.length)
  t.same(scheduler.stats, {
    queued: 0,
    running: 0,
    offline: 0,
    passes: steps.length,
    rows: 5,
    steps: steps.length,
    emptySteps: 900 - steps.length,
    sequences: { completed: 1, cancelled: 0, failed: 0, refused: 0 }
  })
})

t.test('same seed, same text: alone, with neighbours that come and go, after a lost pass', async (t) => {
  const write = async (lose: boolean, neighbours: number): Promise<SequenceStep[]> => {
    const denoiser = new TableDenoiser()
    const scheduler = schedulerOn(denoiser, { prefer: 'throughput' })
    const text = makeSequence(40, 8, 42)
    const others = Array.from({ length: neighbours }, (_, i) => makeSequence(33 + (i % 20), 1 + (i % 9), i))
    denoiser.before = (pass) => {
      if (lose && denoiser.passes.length % 3 === 2) throw new DenoiserLost('killed')
      if (pass.lengths.length > 1)
        scheduler.leave([others.pop()!].filter(Boolean), new Cancellation('left', 'left'))
    }
    scheduler.submit([...others.slice(0, neighbours / 2), text, ...others.slice(neighbours / 2)])
    return read(text)
  }
  const alone = await write(false, 0)
  t.same(await write(false, 40), alone)
  t.same(await write(true, 0), alone)
  t.same(await write(true, 40), alone)
})

t.test(
  'a batch holds sequences of one padded length within the token budget; first come, first served',
  async (t) => {
    const denoiser = new TableDenoiser()
    const scheduler = schedulerOn(denoiser, { maxBatchTokens: 96 })
    const texts = [15, 15, 40, 15, 15, 40, 60].map((length, i) => makeSequence(length, 3, i))
    scheduler.submit(texts)
    const ended: number[] = []
    await Promise.all(texts.map(async (text, i) => read(text).then(() => ended.push(i))))
    for (const pass of denoiser.passes) {
      t.ok(sequencesIn(pass) * pass.length <= 96)
      for (const length of pass.lengths) t.equal(lengthBucket(length, CONTEXT), pass.length)
    }
    t.ok(ended.indexOf(0) < ended.indexOf(6))
    t.same([...ended].sort(), [0, 1, 2, 3, 4, 5, 6])
  }
)

t.test('as many passes run at once as the denoiser can, each sequence in one of them', async (t) => {
  const denoiser = new TableDenoiser({}, 2)
  const scheduler = schedulerOn(denoiser)
  const texts = Array.from({ length: 20 }, (_, i) => makeSequence(10 + i, 1 + (i % 6), i))
  const solitary = await Promise.all(
    texts.map((_, i) => {
      const text = makeSequence(10 + i, 1 + (i % 6), i)
      schedulerOn(new TableDenoiser()).submit([text])
      return read(text)
    })
  )
  let underWay = 0
  let most = 0
  const inPass = new Set<string>()
  denoiser.before = async (pass) => {
    most = Math.max(most, ++underWay)
    // Coins are a sequence's own, so their first tells whose pass it is.
    const owners = Array.from(pass.coins, String)
    t.notOk(
      owners.some((owner) => inPass.has(owner)),
      'in one pass at a time'
    )
    for (const owner of owners) inPass.add(owner)
    for (let turn = 0; turn < 1 + (denoiser.passes.length % 3); turn++) await new Promise(setImmediate)
    for (const owner of owners) inPass.delete(owner)
    underWay--
  }
  scheduler.submit(texts)
  t.same(await Promise.all(texts.map(read)), solitary)
  t.equal(most, 2)
  await scheduler.drain()
  t.equal(scheduler.stats.sequences.completed, 20)
})

t.test('a pass is as large as its cost asks for, and larger for throughput than for latency', async (t) => {
  for (const [prefer, tokens] of [
    ['latency', 9 * 16],
    ['throughput', 49 * 16]
  ] as const) {
    const denoiser = new TableDenoiser()
    const cost = new PassCost({ fixedMs: 16, msPerToken: 1, msPerRow: 0 })
    const scheduler = schedulerOn(denoiser, { maxBatchTokens: 10_000, cost, prefer })
    const texts = Array.from({ length: 200 }, (_, i) => makeSequence(15, 2, i))
    scheduler.submit(texts)
    await Promise.all(texts.map(read))
    t.equal(Math.max(...denoiser.passes.map((pass) => pass.tokens.length)), tokens)
  }
})

t.test('for throughput a second pass is sent ahead, when it is worth one; for latency none is', async (t) => {
  const mostUnderWay = async (prefer: 'latency' | 'throughput', texts: number) => {
    const denoiser = new TableDenoiser()
    const scheduler = schedulerOn(denoiser, { prefer, maxBatchTokens: 64 })
    const sequences = Array.from({ length: texts }, (_, i) => makeSequence(15, 4, i))
    let underWay = 0
    let most = 0
    denoiser.before = async () => {
      most = Math.max(most, ++underWay)
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
      underWay--
    }
    scheduler.submit(sequences)
    await Promise.all(sequences.map(read))
    return most
  }
  t.equal(await mostUnderWay('throughput', 8), 2)
  t.equal(await mostUnderWay('throughput', 5), 1) // the fifth had better wait for the others to come back
  t.equal(await mostUnderWay('latency', 8), 1)
})

t.test('a sequence longer than the budget still gets its passes, alone', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: 16 })
  const texts = [makeSequence(50, 2, 1), makeSequence(5, 2, 2)]
  scheduler.submit(texts)
  await Promise.all(texts.map(read))
  t.equal(scheduler.stats.sequences.completed, 2)
})

t.test('no sequence starves, however many others come', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: 2 * CONTEXT })
  const long = makeSequence(60, 20, 1)
  scheduler.submit([long])
  denoiser.before = () => {
    if (denoiser.passes.length < 400) scheduler.submit([makeSequence(10, 2, denoiser.passes.length)])
  }
  await read(long)
  // Its passes alternate with those of the other bucket.
  t.ok(denoiser.passes.length <= 2 * long.passes + 2, `${denoiser.passes.length} passes for ${long.passes}`)
  scheduler.close()
})

/** Passes that cost ten times as much with a text more in them: offline ones have no place in others. */
const dearCost = () => new PassCost({ fixedMs: 1, msPerToken: 1, msPerRow: 0 })
const offline = (length: number, steps: number, seed: number) =>
  makeSequence(length, steps, seed, { priority: 'offline' })
/** Whose places a pass has: coins are a sequence's own. */
const holds = ({ coins }: Pass, { coins: own }: { coins: ReadonlySet<number> }) =>
  coins.some((coin) => own.has(coin))
/** All the coins that a sequence will bring, from one of the same seed that ran alone. */
async function coinsOf(sequence: Sequence): Promise<{ coins: ReadonlySet<number> }> {
  const denoiser = new TableDenoiser()
  schedulerOn(denoiser).submit([sequence])
  await read(sequence)
  return { coins: new Set(denoiser.passes.flatMap(({ coins }) => [...coins])) }
}

t.test('a short text waits for a turn of those ahead of it, not for all of their passes', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: CONTEXT })
  const long = [1, 2, 3, 4].map((seed) => makeSequence(60, 1000, seed))
  scheduler.submit(long)
  const short = makeSequence(60, 4, 5)
  scheduler.submit([short])
  await read(short)
  t.ok(long.every(({ passes }) => passes > 50))
  const had = denoiser.passes.length
  t.ok(had >= 4 * TURN + short.passes && had <= 4 * TURN + short.passes + 2, `${had} passes`)
  await Promise.all(long.map(read))
  t.equal(scheduler.stats.sequences.completed, 5)
})

t.test(
  'a key may have as much of the queue as it leaves free, so that there is room for others',
  async (t) => {
    const scheduler = schedulerOn(new TableDenoiser(), { maxBatchTokens: CONTEXT, maxQueue: 12 })
    const most = (client: Client | undefined) => {
      for (let accepted = 0; ; accepted++) {
        const error = thrownBy(() => scheduler.submit([makeSequence(60, 8, accepted, { client })])) as
          | RequestError
          | undefined
        if (!error) continue
        t.match(error, { code: 'overloaded', status: 429 })
        t.ok(error.retryAfterMs! > 0)
        return accepted
      }
    }
    t.equal(most({ name: 'a', weight: 1 }), 1 + 6) // one runs
    t.equal(most({ name: 'b', weight: 1 }), 3)
    t.equal(most({ name: 'c', weight: 2 }), 2) // of 3 that were free
    t.equal(most(undefined), 1)
    t.equal(scheduler.stats.queued, 12)
    scheduler.close()
  }
)

t.test('a key may owe as much time as it leaves free', async (t) => {
  const clock = stopTime(t)
  const cost = new PassCost({ fixedMs: 10, msPerToken: 0, msPerRow: 0 })
  const scheduler = schedulerOn(new VirtualDevice(cost), {
    cost,
    maxBatchTokens: CONTEXT,
    maxBacklogMs: 1000
  })
  const [a, b] = ['a', 'b'].map((name) => ({ name, weight: 1 }))
  const text = (client: Client, seed: number) => makeSequence(60, 60, seed, { client })
  const submit = (client: Client, seed: number) => thrownBy(() => scheduler.submit([text(client, seed)]))
  t.equal(submit(a!, 1), undefined)
  t.equal(submit(a!, 2), undefined)
  const owed = scheduler.backlogMs
  t.ok(owed > 500 && owed < 1000)
  const error = submit(a!, 3) as RequestError
  t.match(error, { code: 'overloaded', message: /ms of work of one key: expected at most/ })
  const other = text(b!, 4)
  scheduler.submit([other])
  scheduler.leave([other])
  while (scheduler.backlogMs > 500) await goOn(clock)
  t.ok(Math.abs(performance.now() - error.retryAfterMs!) <= 10, 'true to a pass')
  t.equal(submit(a!, 5), undefined)
  scheduler.close()
})

t.test('offline texts are set aside, part way, for interactive ones, and lose nothing', async (t) => {
  for (const prefer of ['latency', 'throughput'] as const) {
    const denoiser = new TableDenoiser()
    const scheduler = schedulerOn(denoiser, { cost: dearCost(), prefer })
    const patient = [1, 2, 3, 4].map((seed) => offline(50, 12, seed))
    const alone = [1, 2, 3, 4].map((seed) => offline(50, 12, seed))
    for (const text of alone) schedulerOn(new TableDenoiser()).submit([text])
    const urgent = makeSequence(50, 12, 11)
    const own = await coinsOf(makeSequence(50, 12, 11))
    let came = 0
    denoiser.before = () => {
      if (denoiser.passes.length !== 5) return
      came = denoiser.passes.length
      scheduler.submit([urgent])
    }
    scheduler.submit(patient)
    const written = Promise.all(patient.map(read))
    t.equal((await read(urgent)).length, urgent.passes)
    t.ok(patient.some((text) => text.passesDone > 0 && !text.done))
    await written
    // From the end of the pass in which it came every pass is its own: none lay ready.
    const since = denoiser.passes.slice(came)
    const last = since.findLastIndex((pass) => holds(pass, own))
    t.ok(since.slice(0, last + 1).every((pass) => holds(pass, own)))
    t.same(await written, await Promise.all(alone.map(read)))
    t.equal(scheduler.stats.offline, 0)
  }
})

t.test('passes of offline texts alone are small, so that who comes does not wait long', async (t) => {
  const largest = async (texts: Sequence[]) => {
    const denoiser = new TableDenoiser()
    const cost = new PassCost({ fixedMs: 100, msPerToken: 10, msPerRow: 0 })
    const scheduler = schedulerOn(denoiser, { cost, prefer: 'throughput', maxBatchTokens: 4096 })
    scheduler.submit(texts)
    await Promise.all(texts.map(read))
    return Math.max(...denoiser.passes.map(sequencesIn))
  }
  const seeds = Array.from({ length: 60 }, (_, seed) => seed)
  t.equal(await largest(seeds.map((seed) => makeSequence(15, 4, seed))), 30) // 98 %: 490 tokens
  t.equal(await largest(seeds.map((seed) => offline(15, 4, seed))), 5) // 90 %: 90 tokens
})

t.test('offline texts ride along where a pass costs hardly more for them', async (t) => {
  const together = async (msPerToken: number) => {
    const denoiser = new TableDenoiser()
    const cost = new PassCost({ fixedMs: 100, msPerToken, msPerRow: 0 })
    const scheduler = schedulerOn(denoiser, { cost, maxBatchTokens: 64 })
    const texts = [makeSequence(15, 4, 1), ...[2, 3, 4, 5, 6].map((seed) => offline(15, 4, seed))]
    scheduler.submit(texts.slice(0, 1))
    scheduler.submit(texts.slice(1))
    await Promise.all(texts.map(read))
    const own = await coinsOf(makeSequence(15, 4, 1))
    return Math.max(...denoiser.passes.filter((pass) => holds(pass, own)).map(sequencesIn))
  }
  t.equal(await together(100 / 15), 1)
  t.equal(await together(100 / 48), 3) // three times 16 tokens cost what the pass itself does
  t.equal(await together(1e-9), 4) // the budget of tokens
})

t.test('while an interactive text waits for a place, no offline one is in a pass', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: CONTEXT })
  const urgent = [makeSequence(15, 5, 1), makeSequence(40, 5, 2), makeSequence(40, 5, 3)]
  const own = await coinsOf(offline(15, 5, 4))
  const whileQueued: boolean[] = []
  denoiser.before = (pass) => {
    if (scheduler.stats.queued > 0) whileQueued.push(holds(pass, own))
  }
  scheduler.submit(urgent)
  const patient = offline(15, 5, 4)
  scheduler.submit([patient])
  t.same([scheduler.stats.running, scheduler.stats.queued, scheduler.stats.offline], [2, 1, 1])
  await Promise.all([patient, ...urgent].map(read))
  t.ok(whileQueued.length > 2)
  t.notOk(whileQueued.includes(true))
})

t.test('a queue full of offline texts refuses no interactive one', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: CONTEXT, maxQueue: 1 })
  scheduler.submit([1, 2].map((seed) => offline(60, 4, seed)))
  t.throws(() => scheduler.submit([offline(60, 4, 3)]), { code: 'overloaded' })
  t.equal(scheduler.backlogMs, 0)
  const text = makeSequence(60, 4, 4)
  scheduler.submit([text])
  t.equal((await read(text)).length, text.passes)
  scheduler.close()
})

t.test('a sequence whose client left takes no further pass', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  const text = makeSequence(40, 20, 1)
  scheduler.submit([text])
  let seen = 0
  await t.rejects(
    async () => {
      for await (const _ of text.stream) {
        seen = denoiser.passes.length
        scheduler.leave([text], new Cancellation('left', 'left'))
      }
    },
    { code: 'cancelled' }
  )
  t.ok(denoiser.passes.length <= seen + 1)
  t.same(scheduler.stats.sequences, { completed: 0, cancelled: 1, failed: 0, refused: 0 })
  t.equal(scheduler.stats.running, 0)
})

t.test('a sequence that is left ends at once, whatever it was doing', async (t) => {
  /** `when`: whether this is the pass, its own or another's, during which it is left. */
  interface State {
    readonly priorities: readonly Priority[]
    readonly shape: readonly [length: number, steps: number]
    readonly batchTokens: number
    /** Another sequence, there from the start or from the second pass on. */
    readonly other?: { readonly length: number; readonly from: 1 | 2; readonly priority?: Priority }
    readonly lost?: boolean
    readonly when: (own: boolean, passesDone: number) => boolean
  }
  const both = ['interactive', 'offline'] as const
  const states: Record<string, State> = {
    queued: {
      ...{ priorities: both, shape: [60, 4], batchTokens: CONTEXT, other: { length: 60, from: 1 } },
      when: (own) => !own
    },
    'between passes': {
      ...{ priorities: both, shape: [15, 8], batchTokens: 4 * CONTEXT, other: { length: 40, from: 1 } },
      when: (own, passesDone) => !own && passesDone > 0
    },
    'in a pass': {
      ...{ priorities: both, shape: [40, 8], batchTokens: 4 * CONTEXT },
      when: (own, passesDone) => own && passesDone === 2
    },
    'in a pass that is lost': {
      ...{ priorities: both, shape: [40, 8], batchTokens: 4 * CONTEXT, lost: true },
      when: (own, passesDone) => own && passesDone === 2
    },
    'set aside for an interactive one': {
      ...{ priorities: ['offline'], shape: [40, 8], batchTokens: CONTEXT },
      other: { length: 40, from: 2, priority: 'interactive' },
      when: (own, passesDone) => !own && passesDone > 0
    },
    'back in the queue after its turn': {
      ...{ priorities: both, shape: [60, 1000], batchTokens: CONTEXT, other: { length: 60, from: 2 } },
      when: (own, passesDone) => !own && passesDone === TURN
    }
  }
  for (const [state, { priorities, shape, batchTokens, other, lost, when }] of Object.entries(states)) {
    for (const priority of priorities) {
      const name = `${state}, ${priority}`
      const denoiser = new TableDenoiser()
      const scheduler = schedulerOn(denoiser, { maxBatchTokens: batchTokens })
      const own = await coinsOf(makeSequence(...shape, 1))
      const text = makeSequence(...shape, 1, { priority })
      const neighbour = other && makeSequence(other.length, 20, 2, { priority: other.priority ?? priority })
      let leftIn = 0
      denoiser.before = (pass) => {
        const number = denoiser.passes.length
        if (number === 2 && other?.from === 2) scheduler.submit([neighbour!])
        if (leftIn > 0 || !when(holds(pass, own), text.passesDone)) return
        leftIn = number
        scheduler.leave([text], new Cancellation('left', 'left'))
        t.ok(text.endedAt !== undefined, name)
        t.equal(scheduler.stats.sequences.cancelled, 1, name)
        if (lost) throw new DenoiserLost('killed')
      }
      if (other?.from === 1) scheduler.submit([neighbour!])
      scheduler.submit([text])
      await t.rejects(read(text), { code: 'cancelled' }, name)
      if (neighbour) t.equal((await read(neighbour)).length, neighbour.passes)
      await scheduler.drain()
      t.ok(leftIn > 0, name)
      t.notOk(
        denoiser.passes.slice(leftIn + (lost ? 1 : 0)).some((pass) => holds(pass, own)),
        name
      )
      const { running, queued, offline } = scheduler.stats
      t.same([running, queued, offline], [0, 0, 0], name)
    }
  }
})

t.test('leaving while queued frees the place and nobody else notices', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: CONTEXT })
  const [running, queued, next] = [makeSequence(60, 5, 1), makeSequence(60, 5, 2), makeSequence(60, 5, 3)]
  scheduler.submit([running!, queued!, next!])
  t.equal(scheduler.stats.queued, 2)
  scheduler.leave([queued!], new Cancellation('left', 'left'))
  t.equal(scheduler.stats.queued, 1)
  await t.rejects(read(queued!), { code: 'cancelled' })
  t.equal((await read(running!)).length, running!.passes)
  t.equal((await read(next!)).length, next!.passes)
})

t.test('a full queue refuses at once, takes none of the request, and says when to come back', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: CONTEXT, maxQueue: 2 })
  const accepted = [1, 2, 3].map((seed) => makeSequence(60, 4, seed))
  scheduler.submit(accepted)
  t.throws(() => scheduler.submit([makeSequence(60, 4, 4)]), { code: 'overloaded', status: 429 })
  t.same([scheduler.stats.running, scheduler.stats.queued], [1, 2])
  for await (const _ of accepted[0]!.stream) {
    if (denoiser.passes.length !== 2) continue
    t.throws(() => scheduler.submit([makeSequence(60, 4, 5)]), { code: 'overloaded' })
    // Before anything is done for it, too; offline texts have a queue of their own.
    t.throws(() => scheduler.expectRoom(1, 'interactive'), { code: 'overloaded' })
    scheduler.expectRoom(1, 'offline')
  }
  scheduler.submit([makeSequence(60, 4, 6)])
  scheduler.close()
  t.match(scheduler.endings, { refused: { queue: 3 }, cancelled: { shutdown: 3 } })
})

t.test('who owes too much time refuses more of it at once, and says when it owes less', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBacklogMs: 10 })
  const text = makeSequence(60, 40, 1)
  scheduler.submit([text]) // one that costs more than that alone is taken all the same
  const owed = scheduler.backlogMs
  t.ok(owed > 10)
  const error = thrownBy(() => scheduler.submit([makeSequence(5, 1, 2)])) as RequestError
  t.match(error, { code: 'overloaded', status: 429, retryAfterMs: Math.ceil(owed - 10) })
  scheduler.submit([offline(5, 1, 3)])
  await read(text)
  scheduler.submit([makeSequence(5, 1, 4)])
  scheduler.close()
  t.equal(scheduler.endings.refused.backlog, 1)
})

t.test('while a denoiser is out of service nothing is taken, and it is said for how long', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  denoiser.outage = { reason: 'no memory', retryAfterMs: 1234 }
  t.throws(() => scheduler.submit([makeSequence(5, 1, 1)]), {
    code: 'unavailable',
    status: 503,
    message: 'The model table is out of service: no memory',
    retryAfterMs: 1234
  })
  t.equal(scheduler.endings.refused.outage, 1)
  t.equal(scheduler.stats.queued + scheduler.stats.running, 0)
  denoiser.outage = undefined
  const text = makeSequence(5, 1, 1)
  scheduler.submit([text])
  t.equal((await read(text)).length, 1)
})

t.test('a denoiser that fails a pass fails its sequences and no others', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  denoiser.before = ({ tokens }) => {
    if (tokens.includes(TOKENS[0]!) && tokens.length < 32) throw new Error('bad pass')
  }
  const bad = makeSequence(10, 10, 1, {
    tokens: Int32Array.from([BOS, TOKENS[0]!, MASK]),
    windows: [{ start: 0, end: 3, from: 2 }]
  })
  const good = makeSequence(40, 10, 2)
  scheduler.submit([bad, good])
  await t.rejects(read(bad), { code: 'denoiser_failed', message: /bad pass/ })
  t.equal((await read(good)).length, good.passes)
  t.equal(scheduler.stats.sequences.failed, 1)
})

t.test('a text that kills every denoiser takes no other with it', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  denoiser.before = ({ tokens }) => {
    if (tokens.includes(TOKENS[2]!)) throw new DenoiserLost('killed')
  }
  const tokens = Int32Array.from({ length: 11 }, (_, i) => (i === 0 ? BOS : i === 1 ? TOKENS[2]! : MASK))
  const deadly = makeSequence(10, 4, 1, { tokens, windows: [{ start: 0, end: 11, from: 2 }] })
  const others = [2, 3, 4].map((seed) => makeSequence(10, 1, seed))
  scheduler.submit([others[0]!, deadly, ...others.slice(1)])
  await Promise.all([
    t.rejects(read(deadly), { code: 'denoiser_failed', message: /killed/ }),
    ...others.map(read)
  ])
  t.same(scheduler.stats.sequences, { completed: 3, cancelled: 0, failed: 1, refused: 0 })
  // Twice all together, then each alone: the deadly one has had its three attempts.
  t.same(denoiser.passes.map(sequencesIn), [4, 4, 1, 1, 1, 1])
})

t.test('who leaves while a pass is lost has no part in what comes after', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  const [left, stays] = [makeSequence(10, 1, 1), makeSequence(10, 1, 2)]
  denoiser.before = () => {
    if (denoiser.passes.length > 2) return
    scheduler.leave([left!], new Cancellation('left', 'left'))
    throw new DenoiserLost('killed')
  }
  scheduler.submit([left!, stays!])
  await Promise.all([t.rejects(read(left!), { code: 'cancelled' }), read(stays!)])
  t.same(denoiser.passes.map(sequencesIn), [2, 2, 1])
})

t.test('a pass that is lost three times is given up, and the loop goes on', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  denoiser.before = () => {
    if (denoiser.passes.length <= 3) throw new DenoiserLost('killed')
  }
  const [lost, later] = [makeSequence(10, 1, 1), makeSequence(10, 1, 2)]
  scheduler.submit([lost!])
  await t.rejects(read(lost!), { code: 'denoiser_failed' })
  scheduler.submit([later!])
  t.equal((await read(later!)).length, 1)
})

t.test('a text longer than the context is written window after window', async (t) => {
  const denoiser = new TableDenoiser({ context_length: 16 })
  const scheduler = schedulerOn(denoiser)
  const windows = [
    { start: 0, end: 16, from: 1 },
    { start: 8, end: 24, from: 16 }
  ]
  const tokens = Int32Array.from({ length: 24 }, (_, i) => (i === 0 ? BOS : MASK))
  const text = makeSequence(23, 4, 9, { tokens, windows })
  scheduler.submit([text])
  const steps = await read(text)
  t.equal(text.rows, 23)
  t.equal(text.steps, 8)
  t.ok(
    steps.every(({ step, reveals }) =>
      reveals.every(({ position }) => (position < 16 ? step <= 4 : step > 4))
    )
  )
  t.notOk(tokensOf(text).includes(MASK))
})

t.test('when the deadline strikes, the rest is revealed in one pass', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser)
  const text = makeSequence(40, 30, 3, { deadline: performance.now() - 1 })
  scheduler.submit([text])
  const steps = await read(text)
  t.equal(steps.length, 1)
  t.equal(steps[0]!.reveals.length, 40)
  t.equal(steps[0]!.t, 0)
  t.ok(text.struck)
  const calm = makeSequence(40, 30, 3, { deadline: performance.now() + 3_600_000 })
  scheduler.submit([calm])
  t.equal((await read(calm)).length, calm.passes)
  t.notOk(calm.struck)
})

t.test('a drain refuses new work and ends when the accepted work is done', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: CONTEXT })
  const texts = [1, 2, 3].map((seed) => makeSequence(40, 8, seed))
  scheduler.submit(texts)
  t.equal(scheduler.stats.queued, 2)
  const steps = Promise.all(texts.map(read))
  const drained = scheduler.drain()
  t.throws(() => scheduler.submit([makeSequence(5, 1, 2)]), { code: 'draining', status: 503 })
  await drained
  t.equal(scheduler.stats.running + scheduler.stats.queued, 0)
  t.same(
    (await steps).map(({ length }) => length),
    texts.map(({ passes }) => passes)
  )
})

t.test('closing tells every reader', async (t) => {
  const denoiser = new TableDenoiser()
  const scheduler = schedulerOn(denoiser, { maxBatchTokens: CONTEXT })
  const texts = [makeSequence(60, 9, 1), makeSequence(60, 9, 2)]
  scheduler.submit(texts)
  scheduler.close()
  for (const text of texts) await t.rejects(read(text), { code: 'draining' })
})
