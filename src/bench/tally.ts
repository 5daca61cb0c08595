import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Call, Outcome } from './call.js'
import type { Span } from './load.js'

/** Milliseconds. */
export interface Quantiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** Figures of one run under one load. */
export interface Figures {
  readonly requests: Readonly<Record<Outcome, number>>
  readonly reasons: Readonly<Record<string, number>>
  readonly latency: Quantiles
  readonly queue: Quantiles
  readonly firstStep: Quantiles
  readonly firstText: Quantiles
  readonly textsPerSecond: number
  readonly tokensPerSecond: number
  readonly passesPerText: number
  /** A text's share of the time is in passes of the denoiser, the rest in the queue and on the way. */
  readonly passShare: number
  /** Of all requests, those that were done within the time that was asked for. */
  readonly goodput: number
}

/** Longest latency that is told apart, and digits that count. */
const HISTOGRAM = { lowest: 1, highest: 3_600_000_000, figures: 3 }

/** Counts calls as they end; holds no more than histograms, however many there are. */
export class Tally {
  readonly #sloMs: number
  readonly #requests = { done: 0, refused: 0, failed: 0, cancelled: 0 }
  readonly #reasons: Record<string, number> = {}
  readonly #times = {
    latency: createHistogram(HISTOGRAM),
    queue: createHistogram(HISTOGRAM),
    firstStep: createHistogram(HISTOGRAM),
    firstText: createHistogram(HISTOGRAM)
  }
  #inTime = 0
  #seconds = 0
  #texts = 0
  #tokens = 0
  #passes = 0
  #passMs = 0
  #latencyMs = 0

  constructor(sloMs: number) {
    this.#sloMs = sloMs
  }

  get done(): number {
    return this.#requests.done
  }

  add({ due, ended, outcome, reason, written }: Call): void {
    this.#requests[outcome]++
    if (reason) this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1
    if (!written) return
    const latency = ended - due
    record(this.#times.latency, latency)
    record(this.#times.queue, written.timings.queue_ms)
    record(this.#times.firstStep, written.firstStep - due)
    record(this.#times.firstText, written.firstText - due)
    if (latency <= this.#sloMs) this.#inTime++
    this.#passes += written.timings.passes
    this.#passMs += written.timings.pass_ms
    this.#latencyMs += latency
  }

  /**
   * The calls of a slice that is over. Throughput counts what was done within its time: of a text that was under way when it ended,
   * the share of its own time that lies within.
   */
  addSlice({ start, stop }: Span, calls: readonly Call[]): void {
    this.#seconds += (stop - start) / 1000
    for (const { due, ended, written } of calls) {
      if (!written) continue
      const within = Math.max(0, Math.min(ended, stop) - due) / Math.max(ended - due, 1e-3)
      this.#texts += Math.min(1, within)
      this.#tokens += Math.min(1, within) * written.tokens
    }
  }

  get figures(): Figures {
    const { done, refused, failed, cancelled } = this.#requests
    const answered = done + refused + failed
    const { latency, queue, firstStep, firstText } = this.#times
    return {
      requests: { done, refused, failed, cancelled },
      reasons: { ...this.#reasons },
      latency: quantiles(latency),
      queue: quantiles(queue),
      firstStep: quantiles(firstStep),
      firstText: quantiles(firstText),
      textsPerSecond: this.#texts / this.#seconds,
      tokensPerSecond: this.#tokens / this.#seconds,
      passesPerText: this.#passes / done,
      passShare: this.#passMs / this.#latencyMs,
      goodput: this.#inTime / answered
    }
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
