import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { type Call, type Outcome, outcomes } from './call.js'
import type { Span } from './load.js'

/** Milliseconds. NaN, which JSON has as null, where nothing came. */
export interface Quantiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** Figures of one run under one load. NaN, which JSON has as null, is what the server does not tell. */
export interface Figures {
  readonly seconds: number
  readonly requests: Readonly<Record<Outcome, number>>
  readonly reasons: Readonly<Record<string, number>>
  readonly latency: Quantiles
  readonly queue: Quantiles
  readonly firstStep: Quantiles
  readonly firstText: Quantiles
  /** Of the latency: [percent, milliseconds]. */
  readonly latencyCurve: readonly (readonly [percent: number, ms: number])[]
  /** How late requests were sent: the load generator's own share of their latency. */
  readonly sendDelay: Quantiles
  readonly textsPerSecond: number
  readonly tokensPerSecond: number
  readonly stepsPerSecond: number
  readonly stepsPerText: number
  /** Passes a text took part in; others took part in them too. */
  readonly passesPerText: number
  readonly tokensPerText: number
  /** Where the time of a text goes, as the server has it, and what is left of its latency. Means, milliseconds. */
  readonly split: {
    readonly queue: number
    readonly passes: number
    readonly between: number
    readonly outside: number
  }
  /** A text's share of the time is in passes of the denoiser, the rest in the queue and on the way. */
  readonly passShare: number
  /** Of all requests but those whose reader left or read late, those that were done within the time that was asked for. */
  readonly goodput: number
  readonly rounds: readonly Round[]
}

/** Longest latency that is told apart, and digits that count. */
const HISTOGRAM = { lowest: 1, highest: 3_600_000_000, figures: 3 }

/** Percentiles at which the report has its curve. */
const CURVE = [1, ...Array.from({ length: 19 }, (_, i) => 5 * (i + 1)), 97, 98, 99, 99.5, 99.9, 100]

/** What a round alone gave: how these differ shows what is noise. NaN, which JSON has as null, where nothing was done in it. */
export interface Round {
  readonly tokensPerSecond: number
  /** Mean of the latency, milliseconds. */
  readonly latency: number
}

/** Counts calls as they end; holds no more than histograms, however many there are. */
export class Tally {
  readonly #sloMs: number
  readonly #requests = Object.fromEntries(outcomes.map((outcome) => [outcome, 0])) as Record<Outcome, number>
  readonly #reasons: Record<string, number> = {}
  readonly #times = {
    latency: createHistogram(HISTOGRAM),
    queue: createHistogram(HISTOGRAM),
    firstStep: createHistogram(HISTOGRAM),
    firstText: createHistogram(HISTOGRAM),
    sendDelay: createHistogram(HISTOGRAM)
  }
  readonly #mean = { latency: new Mean(), queue: new Mean(), passMs: new Mean(), total: new Mean() }
  readonly #perText = { tokens: new Mean(), steps: new Mean(), passes: new Mean() }
  readonly #rounds: Round[] = []
  #inTime = 0
  #seconds = 0
  /** Done within the time, by shares. */
  #texts = 0
  #tokens = 0
  #steps = 0

  constructor(sloMs: number) {
    this.#sloMs = sloMs
  }

  get done(): number {
    return this.#requests.done
  }

  get calls(): number {
    return outcomes.reduce((sum, outcome) => sum + this.#requests[outcome], 0)
  }

  /** Milliseconds; NaN before the first. */
  get meanLatency(): number {
    return this.#mean.latency.value
  }

  add({ due, sent, ended, outcome, reason, written }: Call): void {
    this.#requests[outcome]++
    if (reason) this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1
    record(this.#times.sendDelay, sent - due)
    if (outcome !== 'done') return
    const { tokens, steps, timings, firstStep, firstText } = written!
    const latency = ended - due
    if (latency <= this.#sloMs) this.#inTime++
    record(this.#times.latency, latency)
    record(this.#times.firstText, firstText - due)
    if (firstStep !== null) record(this.#times.firstStep, firstStep - due)
    this.#mean.latency.add(latency)
    this.#perText.tokens.add(tokens ?? Number.NaN)
    this.#perText.steps.add(steps ?? Number.NaN)
    this.#perText.passes.add(timings?.passes ?? Number.NaN)
    this.#mean.queue.add(timings?.queue_ms ?? Number.NaN)
    this.#mean.passMs.add(timings?.pass_ms ?? Number.NaN)
    this.#mean.total.add(timings?.total_ms ?? Number.NaN)
    if (timings) record(this.#times.queue, timings.queue_ms)
  }

  /**
   * The calls of a slice that is over. Throughput counts what was done within its time: of a text that was under way when it ended,
   * the share of its own time that lies within.
   */
  addSlice({ start, stop }: Span, calls: readonly Call[]): void {
    const seconds = (stop - start) / 1000
    const tokensBefore = this.#tokens
    const latency = new Mean()
    this.#seconds += seconds
    for (const { due, ended, outcome, written } of calls) {
      if (!written) continue
      if (outcome === 'done') latency.add(ended - due)
      const within = Math.max(0, Math.min(ended, stop) - due) / Math.max(ended - due, 1e-3)
      const share = Math.min(1, within)
      this.#texts += share
      this.#tokens += share * (written.tokens ?? Number.NaN)
      this.#steps += share * (written.steps ?? Number.NaN)
    }
    const tokensPerSecond = (this.#tokens - tokensBefore) / seconds
    this.#rounds.push({ tokensPerSecond, latency: latency.value })
  }

  get figures(): Figures {
    const { done, refused, failed, timedOut } = this.#requests
    const { latency, queue, firstStep, firstText, sendDelay } = this.#times
    const { queue: queueMs, passMs, total, latency: latencyMs } = this.#mean
    return {
      seconds: this.#seconds,
      requests: { ...this.#requests },
      reasons: { ...this.#reasons },
      latency: quantiles(latency),
      latencyCurve:
        latency.count === 0 ? [] : CURVE.map((percent) => [percent, latency.percentile(percent) / 1000]),
      queue: quantiles(queue),
      firstStep: quantiles(firstStep),
      firstText: quantiles(firstText),
      sendDelay: quantiles(sendDelay),
      textsPerSecond: this.#texts / this.#seconds,
      tokensPerSecond: this.#tokens / this.#seconds,
      stepsPerSecond: this.#steps / this.#seconds,
      stepsPerText: this.#perText.steps.value,
      passesPerText: this.#perText.passes.value,
      tokensPerText: this.#perText.tokens.value,
      split: {
        queue: queueMs.value,
        passes: passMs.value,
        between: total.value - queueMs.value - passMs.value,
        outside: latencyMs.value - total.value
      },
      passShare: passMs.value / latencyMs.value,
      goodput: this.#inTime / (done + refused + failed + timedOut),
      rounds: [...this.#rounds]
    }
  }
}

class Mean {
  #sum = 0
  #count = 0

  add(value: number): void {
    this.#sum += value
    this.#count++
  }

  get value(): number {
    return this.#sum / this.#count
  }
}

function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(HISTOGRAM.lowest, Math.min(HISTOGRAM.highest, Math.round(1000 * ms))))
}

function quantiles(histogram: RecordableHistogram): Quantiles {
  const at = (percent: number) => histogram.percentile(percent) / 1000
  if (histogram.count === 0) return { p50: Number.NaN, p90: Number.NaN, p99: Number.NaN, max: Number.NaN }
  return { p50: at(50), p90: at(90), p99: at(99), max: histogram.max / 1000 }
}
