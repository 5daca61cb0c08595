/** What the server counts, as Prometheus reads it. Inner layers return numbers; here they get names. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Engine, EngineOptions } from './engine.js'
import { type ErrorCode, errorTable } from './errors.js'
import { seconds } from './metric-buckets.js'
import { ModelMetrics } from './model-metrics.js'
import { readModels } from './model-readings.js'
import type { SchedulerWatch } from './scheduler/scheduler.js'
import type { ServedDenoiser } from './server-state.js'

const cutReasons = ['full', 'address', 'stalled'] as const

export class Metrics {
  readonly registry = new Registry()
  readonly #requests = new Counter({
    name: 'fewstep_http_requests_total',
    help: 'HTTP requests answered.',
    labelNames: ['method', 'route', 'status'],
    registers: [this.registry]
  })
  readonly #requestSeconds = new Histogram({
    name: 'fewstep_http_request_seconds',
    help: 'Time to the end of the answer.',
    labelNames: ['route'],
    buckets: seconds,
    registers: [this.registry]
  })
  readonly #errors = new Counter({
    name: 'fewstep_errors_total',
    help: 'Errors that clients were told.',
    labelNames: ['code'],
    registers: [this.registry]
  })
  readonly #cuts = new Counter({
    name: 'fewstep_connections_cut_total',
    help: 'Connections ended by the server.',
    labelNames: ['reason'],
    registers: [this.registry]
  })
  readonly #sockets = new Gauge({
    name: 'fewstep_open_websockets',
    help: 'WebSockets that are open.',
    registers: [this.registry]
  })
  readonly #models = new ModelMetrics(this.registry)

  constructor() {
    collectDefaultMetrics({ register: this.registry })
    for (const code of Object.keys(errorTable)) this.#errors.inc({ code }, 0)
    for (const reason of cutReasons) this.#cuts.inc({ reason }, 0)
  }

  /** Reads the numbers of an engine's models whenever it is asked. */
  watch({ models }: Engine<ServedDenoiser>): void {
    readModels(models, this.registry)
  }

  /** Counts what the scheduler of a model does. */
  readonly follow = (model: string): SchedulerWatch => this.#models.follow(model)

  /** Counts what an engine tells of its texts. */
  readonly onEvent: NonNullable<EngineOptions['onEvent']> = (model, event, sequence) =>
    this.#models.countEvent(model, event, sequence)

  countRequest(labels: { method: string; route: string; status: number }, requestSeconds: number): void {
    this.#requests.inc(labels)
    this.#requestSeconds.observe({ route: labels.route }, requestSeconds)
  }

  countError(code: ErrorCode): void {
    this.#errors.inc({ code })
  }

  /** Counts a connection that was ended: it was one too many, in all or of its address, or its client did not read. */
  countCut(reason: (typeof cutReasons)[number]): void {
    this.#cuts.inc({ reason })
  }

  /** @returns what to call when the socket closes */
  countSocket(): () => void {
    this.#sockets.inc()
    return () => this.#sockets.dec()
  }
}
