/**
 * Replicas behind a balancer, on a clock that jumps from event to event. A replica is the server's own scheduler, around a denoiser
 * that computes nothing and takes as long as passes were measured to take.
 */

import { Coins } from '../dist/diffusion/coin.js'
import { noiseSchedules } from '../dist/diffusion/noise-schedule.js'
import { layOutWindows } from '../dist/diffusion/windows.js'
import { PassCost } from '../dist/scheduler/pass-cost.js'
import { Scheduler } from '../dist/scheduler/scheduler.js'
import { Sequence } from '../dist/scheduler/sequence.js'

/** Stands in for `performance.now()`, which the scheduler reads. */
class Clock {
  now = 0
  #events = [] // the next one last

  at(time, act) {
    const events = this.#events
    let [low, high] = [0, events.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (events[middle].time > time) low = middle + 1
      else high = middle
    }
    events.splice(low, 0, { time, act })
  }

  /** Until nothing is left to happen. */
  async run() {
    const real = performance.now
    performance.now = () => this.now
    try {
      for (let event = this.#events.pop(); event; event = this.#events.pop()) {
        this.now = event.time
        event.act()
        await new Promise(setImmediate) // all that follows from it at this moment
      }
    } finally {
      performance.now = real
    }
  }
}

/** Runs one pass after the other. */
class Device {
  manifest
  parallel = 1
  passes = 0
  busyMs = 0
  #clock
  #cost
  #slowness
  #freeAt = 0

  constructor(clock, { context, terms }, slowness) {
    this.manifest = { context_length: context }
    this.#clock = clock
    this.#cost = new PassCost(terms)
    this.#slowness = slowness
  }

  run({ tokens, rows }) {
    const passMs = this.#slowness * this.#cost.estimate({ tokens: tokens.length, rows: rows.length })
    this.#freeAt = Math.max(this.#clock.now, this.#freeAt) + passMs
    this.passes++
    this.busyMs += passMs
    const revealed = {
      tokens: new Int32Array(rows.length),
      probabilities: new Float32Array(rows.length),
      alternativeTokens: new Int32Array(0),
      alternativeProbabilities: new Float32Array(0),
      passMs
    }
    return new Promise((resolve) => this.#clock.at(this.#freeAt, () => resolve(revealed)))
  }
}

const MASK = -1

/** A server, as its balancer sees it. */
class Replica {
  requests = 0
  weight = 1
  told = 256 // the weight that the balancer was told
  device
  #scheduler
  #model

  constructor(clock, model, slowness) {
    const { terms, prefer, maxBatchTokens, maxQueue, maxBacklogMs } = model
    this.#model = model
    this.device = new Device(clock, model, slowness)
    const scaled = Object.fromEntries(Object.entries(terms).map(([name, ms]) => [name, slowness * ms]))
    this.#scheduler = new Scheduler(this.device, {
      maxQueue,
      maxBacklogMs,
      maxBatchTokens,
      prefer,
      cost: new PassCost(scaled)
    })
  }

  get backlogMs() {
    return Math.round(this.#scheduler.backlogMs)
  }

  /** @throws when its queue is full */
  submit({ seed, tokens }, onEnd) {
    const { noise, steps, context } = this.#model
    const length = 1 + tokens // the beginning-of-text token, then masks
    const sequence = new Sequence({
      tokens: new Int32Array(length).fill(MASK, 1),
      maskToken: MASK,
      windows: layOutWindows(length, 1, context),
      steps,
      maskedShare: noiseSchedules[noise],
      coins: new Coins(seed, 0),
      temperature: 1,
      topP: 1,
      topK: 0,
      alternatives: 0,
      deadline: undefined,
      priority: 'interactive',
      watch: {
        onWaited() {},
        onPass: () => {
          if (!sequence.done) return
          this.requests--
          onEnd(sequence)
        }
      }
    })
    this.#scheduler.submit([sequence])
    this.requests++
  }
}

/** The replica with the least of something; of several the next one in turn. */
function least(replicas, turn, load) {
  let best
  for (let i = 0; i < replicas.length; i++) {
    const replica = replicas[(turn + i) % replicas.length]
    if (best === undefined || load(replica) < load(best)) best = replica
  }
  return best
}

/** What a balancer may go by. */
export const policies = {
  'in turn': (replicas, turn) => replicas[turn % replicas.length],
  'fewest requests': (replicas, turn) => least(replicas, turn, ({ requests }) => requests),
  // HAProxy's leastconn: one without requests comes first, whatever its weight
  'least owed': (replicas, turn) =>
    least(replicas, turn, ({ requests, told }) => (requests === 0 ? 0 : (requests + 1) / told))
}

/** What deploy/haproxy/backlog.lua does each second. */
function weigh(replicas) {
  const told = replicas.map((replica) => ({ replica, backlog: replica.backlogMs }))
  const requests = replicas.reduce((sum, replica) => sum + replica.requests, 0)
  const backlog = told.reduce((sum, each) => sum + each.backlog, 0)
  const mean = Math.max(1, backlog / Math.max(1, requests))
  for (const { replica, backlog } of told)
    replica.weight = 0.8 * replica.weight + (0.2 * mean * (replica.requests + 1)) / (backlog + mean)
  const most = Math.max(...replicas.map(({ weight }) => weight))
  for (const replica of replicas) replica.told = Math.max(1, Math.floor((256 * replica.weight) / most))
}

/**
 * @param {{terms: object, context: number, noise: string, steps: number, prefer: string, maxBatchTokens: number, maxQueue: number, maxBacklogMs: number}} model
 * @param {Iterable<{at: number, seed: number, tokens: number}>} texts by when they come, milliseconds
 * @param {{replicas?: number, slowness?: (replica: number) => number, policy?: keyof policies}} fleet
 * @returns when each text came and was whole; how many were refused; how many shared a pass; the share of the time, until the last
 *   one was whole, that devices were busy
 */
export async function simulate(
  model,
  texts,
  { replicas: count = 1, slowness = () => 1, policy = 'least owed' } = {}
) {
  const clock = new Clock()
  const replicas = Array.from({ length: count }, (_, i) => new Replica(clock, model, slowness(i)))
  const arrivals = texts[Symbol.iterator]()
  const written = []
  let passes = 0
  let refused = 0
  let [turn, underWay, last] = [0, 0, false]
  const onEnd = (sequence) => {
    underWay--
    passes += sequence.passes
    written.push({ came: sequence.createdAt, ended: clock.now })
  }
  const come = () => {
    const { value: text, done } = arrivals.next()
    last = Boolean(done)
    if (last) return
    clock.at(text.at, () => {
      try {
        policies[policy](replicas, turn++).submit(text, onEnd)
        underWay++
      } catch {
        refused++
      }
      come()
    })
  }
  const ask = () => {
    weigh(replicas)
    if (!last || underWay > 0) clock.at(clock.now + 1000, ask)
  }
  come()
  if (policy === 'least owed') clock.at(1000, ask)
  await clock.run()
  const sum = (name) => replicas.reduce((total, { device }) => total + device[name], 0)
  const busy = sum('busyMs') / count / written.at(-1).ended
  return { written, refused, batch: passes / sum('passes'), busy }
}

/** Of values in any order. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}
