import type { Manifest } from '../denoiser/manifest.js'
import type { Sequence } from '../scheduler/sequence.js'
import type { SequenceStep, TokenReveal } from '../scheduler/step-stream.js'
import type {
  FinishReason,
  Reveal,
  SequenceEnd,
  SequenceStart,
  Snapshot,
  StepEnd,
  Timings
} from '../schemas.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { CommittedText } from './committed-text.js'
import type { Span, TextLayout } from './layout.js'

/** `sequence-end` with what the JSON answers need and the event leaves out: its reader has seen the reveals. */
export interface TextEnd extends SequenceEnd {
  /** Completion: the tokens of `text` in order. Infill: the tokens of all holes in order. */
  readonly tokens: readonly Reveal[]
  readonly holes: readonly { readonly start: number; readonly length: number; readonly text: string }[]
  /** Completion: whether a stop string cut it. */
  readonly cut: boolean
  /** The tokens before the first hole. */
  readonly promptTokens: readonly { readonly token: number; readonly text: string }[]
}

export type TextEvent = SequenceStart | StepEnd | TextEnd

export interface TextOptions {
  readonly id: string
  readonly index: number
  readonly kind: 'completion' | 'infill'
  readonly seed: number
  readonly stop: readonly string[]
  readonly manifest: Manifest
  readonly tokenizer: Tokenizer
  readonly layout: TextLayout
  readonly sequence: Sequence
  /** Called when nothing more is wanted of the sequence, though it may have steps left. */
  readonly leave: () => void
}

/** One text of a request: turns the steps of its sequence, which are about tokens, into events, which are about text. */
export class Text {
  readonly #options: TextOptions
  readonly #committed: CommittedText | undefined
  readonly #reveals: Reveal[] = []
  /** How far its events have told it; nothing once it has ended. */
  #state: { step: number; t: number; masked: number } | undefined

  constructor(options: TextOptions) {
    const { kind, layout, manifest, tokenizer, stop, sequence } = options
    this.#options = options
    this.#state = { step: 0, t: 1, masked: sequence.rows }
    if (kind === 'completion') {
      this.#committed = new CommittedText(layout.holes[0]!.length, tokenizer, stop, manifest.eos_token)
    }
  }

  async *events(): AsyncGenerator<TextEvent> {
    yield this.#start()
    for await (const step of this.#options.sequence.stream) {
      yield this.#stepEnd(step)
      if (this.#committed?.stopped) {
        this.#options.leave()
        break
      }
    }
    this.#state = undefined
    yield this.#end()
  }

  /** What has been revealed so far; nothing after the end. */
  snapshot(): Snapshot | undefined {
    if (!this.#state) return undefined
    const { step, t, masked } = this.#state
    return {
      type: 'snapshot',
      ...this.#name,
      step,
      of: this.#options.sequence.steps,
      t,
      reveals: [...this.#reveals],
      masked
    }
  }

  #start(): SequenceStart {
    const { sequence, layout, manifest, seed } = this.#options
    const { temperature, topP, topK } = sequence.options
    return {
      type: 'sequence-start',
      ...this.#name,
      model: manifest.name,
      seed,
      length: layout.tokens.length - 1,
      holes: [...layout.holes],
      steps: sequence.steps,
      passes: sequence.passes,
      rows: sequence.rows,
      temperature,
      top_p: topP,
      top_k: topK
    }
  }

  #stepEnd({ step, t, reveals, masked }: SequenceStep): StepEnd {
    const shown = reveals.map((reveal) => this.#reveal(reveal))
    this.#reveals.push(...shown)
    this.#state = { step, t, masked }
    const event: StepEnd = {
      type: 'step-end',
      ...this.#name,
      step,
      of: this.#options.sequence.steps,
      t,
      reveals: shown,
      masked
    }
    if (!this.#committed) return event
    const { start } = this.#options.layout.holes[0]!
    for (const { position, token } of shown) this.#committed.reveal(position - start, token)
    return { ...event, delta: this.#committed.takeDelta() }
  }

  #reveal({ position, token, probability, step, alternatives }: TokenReveal): Reveal {
    const { tokenizer, sequence } = this.#options
    const reveal: Reveal = {
      position: position - 1,
      token,
      text: tokenizer.decodeToken(token),
      probability: roundFloat(probability),
      step
    }
    if (sequence.options.alternatives === 0) return reveal
    return {
      ...reveal,
      alternatives: alternatives.map((other) => ({
        token: other.token,
        text: tokenizer.decodeToken(other.token),
        probability: roundFloat(other.probability)
      }))
    }
  }

  #end(): TextEnd {
    const { layout, tokenizer, manifest } = this.#options
    const tokens = this.#finalTokens()
    const given = layout.tokens.length - 1 - layout.holes.reduce((sum, { length }) => sum + length, 0)
    const known = Array.from(layout.tokens.subarray(1)) // the sequence has put its reveals there
    const decode = (ids: readonly number[]) => tokenizer.decode(ids.filter((id) => id !== manifest.eos_token))
    const holeText = ({ start, length }: Span) =>
      this.#committed?.text ?? decode(known.slice(start, start + length))
    return {
      type: 'sequence-end',
      ...this.#name,
      text: this.#committed?.text ?? decode(known),
      finish_reason: this.#finishReason,
      usage: { prompt_tokens: given, completion_tokens: tokens.length, total_tokens: given + tokens.length },
      timings: this.#timings,
      tokens,
      cut: this.#committed?.cut ?? false,
      holes: layout.holes.map((hole) => ({ ...hole, text: holeText(hole) })),
      promptTokens: known
        .slice(0, layout.holes[0]!.start)
        .map((token) => ({ token, text: tokenizer.decodeToken(token) }))
    }
  }

  #finalTokens(): Reveal[] {
    const inOrder = this.#reveals.sort((a, b) => a.position - b.position)
    return this.#committed ? inOrder.slice(0, this.#committed.tokenCount) : inOrder
  }

  get #finishReason(): FinishReason {
    if (this.#committed?.stopped) return 'stop'
    return this.#options.sequence.struck ? 'deadline' : 'length'
  }

  get #timings(): Timings {
    const { createdAt, waitedMs, firstStepAt, endedAt, passMs, passesDone } = this.#options.sequence
    return {
      queue_ms: round(waitedMs),
      first_step_ms: round(firstStepAt! - createdAt),
      pass_ms: round(passMs),
      total_ms: round(endedAt! - createdAt),
      passes: passesDone
    }
  }

  get #name(): { id: string; index: number } {
    return { id: this.#options.id, index: this.#options.index }
  }
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000

/** The digits that a float32 has: the rest would only lengthen what is sent. */
const roundFloat = (x: number): number => Number(x.toPrecision(7))
