/** What the server counts, as Prometheus reads it. Inner layers return numbers; here they get names. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Engine, Generation, ServedModel } from './engine.js'
import type { ErrorCode } from './errors.js'
import type { PassReport } from './scheduler/pass-report.js'
import type { SchedulerStats } from './scheduler/scheduler.js'
import type { Priority } from './scheduler/sequence.js'
import type { ServedDenoiser } from './server-state.js'
import type { TextEnd, TextEvent } from './text/text.js'

type Served = ServedModel<ServedDenoiser>

const counters: Readonly<Record<string, readonly [help: string, of: (model: Served) => number]>> = {
  fewstep_passes_total: ['Passes of the denoiser.', stat('passes')],
  fewstep_rows_total: ['Positions revealed by passes.', stat('rows')],
  fewstep_steps_total: ['Steps of sequences that revealed something.', stat('steps')],
  fewstep_empty_steps_total: ['Steps that revealed nothing and so cost no pass.', stat('emptySteps')],
  fewstep_denoiser_restarts_total: [
    'Times the process of a model was replaced.',
    ({ denoiser }) => denoiser.restarts
  ]
}

const gauges: typeof counters = {
  fewstep_queued_sequences: ['Sequences that wait for a place.', stat('queued')],
  fewstep_running_sequences: ['Sequences that share in passes.', stat('running')],
  fewstep_offline_sequences: ['Sequences of the lowest priority in work.', stat('offline')],
  fewstep_backlog_seconds: [
    'Time in passes that accepted sequences still need.',
    ({ scheduler }) => scheduler.backlogMs / 1000
  ],
  fewstep_denoiser_ready: ['1 when the process of a model takes passes.', ({ denoiser }) => +denoiser.ready]
}

function stat(name: Exclude<keyof SchedulerStats, 'sequences'>): (model: Served) => number {
  return ({ scheduler }) => scheduler.stats[name]
}

const seconds = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]
const sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const lengths = [16, 64, 256, 1024, 4096, 16_384, 65_536]

export class Metrics {
  readonly registry = new Registry()
  readonly #requests = this.#counter('fewstep_http_requests_total', 'HTTP requests answered.', [
    'method',
    'route',
    'status'
  ])
  readonly #requestSeconds = this.#histogram(
    'fewstep_http_request_seconds',
    'Time to the end of the answer.',
    ['route'],
    seconds
  )
  readonly #errors = this.#counter('fewstep_errors_total', 'Errors that clients were told.', ['code'])
  readonly #tokens = this.#counter('fewstep_tokens_total', 'Tokens of texts that ended.', ['model', 'kind'])
  readonly #passSeconds = this.#histogram(
    'fewstep_pass_seconds',
    'Time of a pass, with the way there and back.',
    ['model'],
    seconds
  )
  readonly #batch = this.#histogram(
    'fewstep_batch_sequences',
    'Sequences that share a pass.',
    ['model'],
    sizes
  )
  readonly #passTokens = this.#histogram(
    'fewstep_pass_tokens',
    'Tokens of a pass, padding included.',
    ['model'],
    lengths
  )
  readonly #passRows = this.#histogram(
    'fewstep_pass_rows',
    'Positions that a pass reveals.',
    ['model'],
    lengths
  )
  readonly #maskedTokens = this.#counter(
    'fewstep_masked_tokens_total',
    'Positions that were masked when a pass began.',
    ['model']
  )
  readonly #textPasses = this.#histogram('fewstep_text_passes', 'Passes of a text.', ['model'], sizes)
  readonly #firstStepSeconds = this.#histogram(
    'fewstep_first_step_seconds',
    'Time from a request to the first positions of a text.',
    ['model'],
    seconds
  )
  readonly #firstTextSeconds = this.#histogram(
    'fewstep_first_text_seconds',
    'Time from a request to the first text of a completion that will not change.',
    ['model'],
    seconds
  )
  readonly #queueSeconds = this.#histogram(
    'fewstep_queue_seconds',
    'Time a text waits for its first pass.',
    ['model'],
    seconds
  )
  readonly #textSeconds = this.#histogram(
    'fewstep_text_seconds',
    'Time from a request to its whole text.',
    ['model'],
    seconds
  )
  readonly #sockets = new Gauge({
    name: 'fewstep_open_websockets',
    help: 'WebSockets that are open.',
    registers: [this.registry]
  })

  readonly #cuts = this.#counter('fewstep_connections_cut_total', 'Connections ended by the server.', [
    'reason'
  ])

  constructor() {
    collectDefaultMetrics({ register: this.registry })
  }

  /** Counts a pass of this model. */
  readonly onPass = (model: string, pass: PassReport): void => {
    this.#batch.observe({ model }, pass.sequences)
    this.#passSeconds.observe({ model }, pass.totalMs / 1000)
    this.#passTokens.observe({ model }, pass.tokens)
    this.#passRows.observe({ model }, pass.rows)
    this.#maskedTokens.inc({ model }, pass.masked)
  }

  /** Reads the numbers of an engine's models whenever it is asked. */
  watch({ models }: Engine<ServedDenoiser>): void {
    const registers = [this.registry]
    const labelNames = ['model']
    for (const [name, [help, of]] of Object.entries(counters)) {
      new Counter({ name, help, labelNames, registers, collect: readEach(models, of) })
    }
    for (const [name, [help, of]] of Object.entries(gauges)) {
      new Gauge({ name, help, labelNames, registers, collect: readEach(models, of) })
    }
    new Counter({
      name: 'fewstep_sequences_total',
      help: 'Sequences by how they ended.',
      labelNames: ['model', 'outcome'],
      registers,
      collect() {
        this.reset()
        for (const { name: model, scheduler } of models)
          for (const [outcome, count] of Object.entries(scheduler.stats.sequences))
            this.inc({ model, outcome }, count)
      }
    })
    new Gauge({
      name: 'fewstep_pass_cost_seconds',
      help: 'What a pass is expected to take: for itself, and for each padded token and each row.',
      labelNames: ['model', 'term'],
      registers,
      collect() {
        for (const { name: model, scheduler } of models) {
          const { fixedMs, msPerToken, msPerRow } = scheduler.passTerms
          for (const [term, ms] of Object.entries({ fixed: fixedMs, token: msPerToken, row: msPerRow }))
            this.set({ model, term }, ms / 1000)
        }
      }
    })
    new Gauge({
      name: 'fewstep_device_info',
      help: 'The device of a model, and why it is not the GPU where one was looked for.',
      labelNames: ['model', 'device', 'fallback'],
      registers,
      collect() {
        this.reset()
        for (const { name: model, denoiser } of models)
          this.inc({ model, device: denoiser.device, fallback: denoiser.fallback ?? '' })
      }
    })
  }

  countRequest(labels: { method: string; route: string; status: number }, requestSeconds: number): void {
    this.#requests.inc(labels)
    this.#requestSeconds.observe({ route: labels.route }, requestSeconds)
  }

  countError(code: ErrorCode): void {
    this.#errors.inc({ code })
  }

  /** Counts a connection that was ended: it was one too many, or its client did not read. */
  countCut(reason: 'full' | 'stalled'): void {
    this.#cuts.inc({ reason })
  }

  /** @returns what to call when the socket closes */
  countSocket(): () => void {
    this.#sockets.inc()
    return () => this.#sockets.dec()
  }

  /** The same generation; its texts are counted when they end. How long offline ones take says nothing. */
  count(generation: Generation, priority: Priority = 'interactive'): Generation {
    const events = this.#counted(generation, priority)
    return { ...generation, [Symbol.asyncIterator]: () => events }
  }

  async *#counted(generation: Generation, priority: Priority): AsyncGenerator<TextEvent> {
    const { model } = generation
    const start = performance.now()
    const begun = new Set<number>() // texts of which something is final
    for await (const event of generation) {
      if (event.type === 'sequence-end') this.#countText(model, event, priority)
      if (event.type === 'step-end' && event.delta && !begun.has(event.index) && priority === 'interactive') {
        begun.add(event.index)
        this.#firstTextSeconds.observe({ model }, (performance.now() - start) / 1000)
      }
      yield event
    }
  }

  #countText(model: string, { usage, timings }: TextEnd, priority: Priority): void {
    this.#tokens.inc({ model, kind: 'prompt' }, usage.prompt_tokens)
    this.#tokens.inc({ model, kind: 'completion' }, usage.completion_tokens)
    this.#textPasses.observe({ model }, timings.passes)
    if (priority === 'offline') return
    this.#firstStepSeconds.observe({ model }, timings.first_step_ms / 1000)
    this.#queueSeconds.observe({ model }, timings.queue_ms / 1000)
    this.#textSeconds.observe({ model }, timings.total_ms / 1000)
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  #histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] })
  }
}

/** Sets a metric anew from each model: the scheduler keeps the count. */
function readEach(models: readonly Served[], of: (model: Served) => number) {
  return function (this: Counter | Gauge): void {
    this.reset()
    for (const model of models) this.inc({ model: model.name }, of(model))
  }
}
