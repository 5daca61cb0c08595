import fc from 'fast-check'
import t from 'tap'
import type { RequestError } from '../../src/errors.js'
import type { Client } from '../../src/scheduler/fair-queue.js'
import { PassCost } from '../../src/scheduler/pass-cost.js'
import { type Preference, Scheduler } from '../../src/scheduler/scheduler.js'
import { thrownBy } from '../thrown-by.js'
import { makeSequence } from './make-sequence.js'
import { goOn, VirtualDevice, virtualTime } from './virtual-device.js'

interface Load {
  readonly texts: readonly (readonly [length: number, steps: number, client: Client | undefined])[]
  readonly maxQueue: number
  readonly prefer: Preference
  readonly parallel: number
  readonly passTokens: number
  /** Passes that end before somebody asks. */
  readonly passes: number
  /** Texts of which that one asks for. */
  readonly wanted: number
}

const client = fc.constantFrom(undefined, { name: 'a', weight: 9 }, { name: 'b', weight: 20 })

const load: fc.Arbitrary<Load> = fc.record({
  texts: fc.array(fc.tuple(fc.integer({ min: 1, max: 63 }), fc.integer({ min: 1, max: 100 }), client), {
    minLength: 20,
    maxLength: 60
  }),
  maxQueue: fc.integer({ min: 4, max: 12 }),
  prefer: fc.constantFrom('latency', 'throughput'),
  parallel: fc.integer({ min: 1, max: 3 }),
  passTokens: fc.integer({ min: 1, max: 512 }),
  passes: fc.nat(20),
  wanted: fc.integer({ min: 1, max: 4 })
})

/** Fills a server, asks when it is full, and waits until as many have left the queue as must. Undefined where it was not full. */
async function toldAndTrue(load: Load, terms = { fixedMs: 4, msPerToken: 0.125, msPerRow: 1 }) {
  const clock = virtualTime()
  try {
    const cost = new PassCost(terms)
    const { maxQueue, prefer, parallel, passTokens, wanted } = load
    const limits = { maxQueue, maxBacklogMs: Number.POSITIVE_INFINITY, maxBatchTokens: passTokens }
    const scheduler = new Scheduler(new VirtualDevice(cost, parallel), { cost, prefer, ...limits })
    const waiting = load.texts.map(([length, steps, client], seed) =>
      makeSequence(length, steps, seed, { client })
    )
    const fill = () => {
      while (waiting.length > 0 && scheduler.stats.queued < maxQueue) scheduler.submit([waiting.shift()!])
    }
    fill()
    while (scheduler.stats.passes < load.passes && scheduler.stats.running > 0) {
      await goOn(clock)
      fill()
    }
    const { queued } = scheduler.stats
    const texts = Array.from({ length: wanted }, (_, i) => makeSequence(20, 4, i))
    const told = (thrownBy(() => scheduler.submit(texts)) as RequestError | undefined)?.retryAfterMs
    if (told === undefined) return undefined
    const begun = performance.now()
    while (scheduler.stats.queued > queued - (queued + wanted - maxQueue)) await goOn(clock)
    return { told, true: performance.now() - begun }
  } finally {
    clock.uninstall()
  }
}

t.test(
  'a place is free when it was said, for any mixture of texts, devices and sizes of passes',
  async (t) => {
    let asked = 0
    await fc.assert(
      fc.asyncProperty(load, async (load) => {
        const found = await toldAndTrue(load)
        if (!found) return
        asked++
        if (found.told !== Math.max(1, found.true)) throw new Error(`told ${found.told}, was ${found.true}`)
      }),
      { numRuns: 150, seed: 7 }
    )
    t.ok(asked > 75, `${asked} were refused`)
  }
)
