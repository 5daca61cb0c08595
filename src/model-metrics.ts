import { Counter, Histogram, type Registry } from 'prom-client'
import { powers, seconds } from './metric-buckets.js'
import type { Outcome } from './scheduler/endings.js'
import type { PassReport } from './scheduler/pass-report.js'
import type { SchedulerWatch } from './scheduler/scheduler.js'
import type { Sequence } from './scheduler/sequence.js'
import type { TextEvent } from './text/text.js'

const sizes = powers(2, 1, 4096)
const rows = powers(4, 1, 16_384)
const lengths = powers(4, 16, 65_536)

/** Passes and texts of the models, counted when they happen. How long offline texts take says nothing. */
export class ModelMetrics {
  readonly #registers: Registry[]
  readonly #histograms: Histogram[] = []
  readonly #passSeconds: Histogram
  readonly #passSequences: Histogram
  readonly #passTokens: Histogram
  readonly #passRows: Histogram
  readonly #unpaddedTokens: Counter
  readonly #maskedTokens: Counter
  readonly #queueSeconds: Histogram
  readonly #firstStepSeconds: Histogram
  readonly #firstTextSeconds: Histogram
  readonly #textSeconds: Histogram
  readonly #textSteps: Histogram
  readonly #textPasses: Histogram
  readonly #tokens: Counter
  /** Something of their text is final. */
  readonly #begun = new WeakSet<Sequence>()

  constructor(registry: Registry) {
    this.#registers = [registry]
    this.#passSeconds = this.#histogram(
      'fewstep_pass_seconds',
      'Time of a pass, with the way there and back.',
      seconds
    )
    this.#passSequences = this.#histogram('fewstep_batch_sequences', 'Sequences that share a pass.', sizes)
    this.#passTokens = this.#histogram('fewstep_pass_tokens', 'Tokens of a pass, padding included.', lengths)
    this.#passRows = this.#histogram('fewstep_pass_rows', 'Positions that a pass reveals.', rows)
    this.#unpaddedTokens = this.#counter('fewstep_unpadded_tokens_total', 'Tokens of passes without padding.')
    this.#maskedTokens = this.#counter(
      'fewstep_masked_tokens_total',
      'Positions that were masked when a pass began.'
    )
    this.#queueSeconds = this.#histogram(
      'fewstep_queue_seconds',
      'Time a text waits for its first pass, or until it ends without one.',
      seconds
    )
    this.#firstStepSeconds = this.#histogram(
      'fewstep_first_step_seconds',
      'Time from a request to the first positions of a text.',
      seconds
    )
    this.#firstTextSeconds = this.#histogram(
      'fewstep_first_text_seconds',
      'Time from a request to the first text of a completion that will not change.',
      seconds
    )
    this.#textSeconds = this.#histogram(
      'fewstep_text_seconds',
      'Time from a request to its whole text.',
      seconds
    )
    this.#textSteps = this.#histogram('fewstep_text_steps', 'Steps that are planned for a text.', sizes)
    this.#textPasses = this.#histogram('fewstep_text_passes', 'Passes of a text.', sizes)
    this.#tokens = this.#counter('fewstep_tokens_total', 'Tokens of texts that ended.', ['kind'])
  }

  /** Counts what the scheduler of a model does. Everything begins at 0: what appears with its first event has no rate. */
  follow(model: string): SchedulerWatch {
    for (const histogram of this.#histograms) histogram.zero({ model })
    for (const counter of [this.#unpaddedTokens, this.#maskedTokens]) counter.inc({ model }, 0)
    for (const kind of ['prompt', 'completion']) this.#tokens.inc({ model, kind }, 0)
    return {
      onWaited: ({ options, waitedMs }) => {
        if (options.priority === 'interactive') this.#queueSeconds.observe({ model }, waitedMs / 1000)
      },
      onPass: (pass, sequences) => this.#countPass(model, pass, sequences),
      onEnd: (sequence, outcome) => this.#countEnd(model, sequence, outcome)
    }
  }

  /** Counts what is told of a text. */
  countEvent(model: string, event: TextEvent, sequence: Sequence): void {
    if (event.type === 'sequence-end') {
      this.#tokens.inc({ model, kind: 'prompt' }, event.usage.prompt_tokens)
      this.#tokens.inc({ model, kind: 'completion' }, event.usage.completion_tokens)
    }
    if (event.type !== 'step-end' || !event.delta || this.#begun.has(sequence)) return
    this.#begun.add(sequence)
    if (sequence.options.priority === 'interactive')
      this.#firstTextSeconds.observe({ model }, secondsBetween(sequence.createdAt, performance.now()))
  }

  #countPass(model: string, pass: PassReport, sequences: readonly Sequence[]): void {
    this.#passSequences.observe({ model }, pass.sequences)
    this.#passSeconds.observe({ model }, pass.totalMs / 1000)
    this.#passTokens.observe({ model }, pass.tokens)
    this.#passRows.observe({ model }, pass.rows)
    this.#unpaddedTokens.inc({ model }, pass.unpadded)
    this.#maskedTokens.inc({ model }, pass.masked)
    for (const { createdAt, firstStepAt, passesDone, options } of sequences)
      if (passesDone === 1 && options.priority === 'interactive')
        this.#firstStepSeconds.observe({ model }, secondsBetween(createdAt, firstStepAt!))
  }

  #countEnd(model: string, sequence: Sequence, outcome: Outcome): void {
    if (outcome !== 'completed') return
    const { steps, passesDone, createdAt, endedAt, options } = sequence
    this.#textSteps.observe({ model }, steps)
    this.#textPasses.observe({ model }, passesDone)
    if (options.priority === 'interactive')
      this.#textSeconds.observe({ model }, secondsBetween(createdAt, endedAt!))
  }

  #counter(name: string, help: string, labels: readonly string[] = []): Counter {
    return new Counter({ name, help, labelNames: ['model', ...labels], registers: this.#registers })
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    const registers = this.#registers
    const histogram = new Histogram({ name, help, labelNames: ['model'], buckets, registers })
    this.#histograms.push(histogram)
    return histogram
  }
}

const secondsBetween = (from: number, to: number): number => (to - from) / 1000
