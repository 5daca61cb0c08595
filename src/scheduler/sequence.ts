import type { Coins } from '../diffusion/coin.js'
import { drawRevealPlan, type PlannedStep } from '../diffusion/reveal-plan.js'
import type { Window } from '../diffusion/windows.js'
import type { Client } from './fair-queue.js'
import type { PassReport } from './pass-report.js'
import { StepStream, type TokenReveal } from './step-stream.js'

/** Is told how a sequence fares. */
export interface SequenceWatch {
  /** Its wait is over: its first pass begins, or it has ended without one. */
  onWaited(sequence: Sequence): void
  /** It has had a pass. */
  onPass(pass: PassReport, sequence: Sequence): void
}

/** Whether somebody waits for a text, or it is written whenever nobody does. */
export type Priority = 'interactive' | 'offline'

export interface SequenceOptions {
  /** The whole text: tokens where known, the mask token elsewhere. The sequence owns it from here on. */
  readonly tokens: Int32Array
  readonly maskToken: number
  readonly windows: readonly Window[]
  /** Steps of each window. */
  readonly steps: number
  readonly maskedShare: (t: number) => number
  readonly coins: Coins
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  /** How many of the likeliest tokens to report with each reveal. */
  readonly alternatives: number
  readonly watch?: SequenceWatch | undefined
  /** When the text must be there, on the clock of `performance.now()`. */
  readonly deadline: number | undefined
  readonly priority: Priority
  /** Whose it is, where clients have keys. */
  readonly client?: Client | undefined
}

/** How a row of a pass came out. */
export type RowResult = Pick<TokenReveal, 'token' | 'probability' | 'alternatives'>

/**
 * The state of one text on its way through its steps: latent tokens and how far the reveal plan has come.
 * The plan is drawn when the sequence is made, so passes and rows are known from the start; coins are pure.
 * A pass that was lost can therefore be run again, and gives the same reveals.
 */
export class Sequence {
  readonly stream = new StepStream()
  readonly passes: number
  readonly rows: number
  readonly steps: number // of all windows
  readonly createdAt = performance.now()
  startedAt: number | undefined // first pass
  firstStepAt: number | undefined
  endedAt: number | undefined
  passMs = 0
  passesDone = 0
  /** The deadline struck: what was masked was filled at once. */
  struck = false

  readonly #options: SequenceOptions
  readonly #plans: PlannedStep[][]
  #masked: number
  #window = 0
  #next = 0 // index into the current window's plan

  constructor(options: SequenceOptions) {
    const { tokens, maskToken, windows, steps, maskedShare, coins } = options
    this.#options = options
    this.#plans = windows.map((window, index) => {
      const masked: number[] = []
      for (let i = window.from; i < window.end; i++) if (tokens[i] === maskToken) masked.push(i)
      return drawRevealPlan(masked, steps, maskedShare, (position) => coins.plan(index, position))
    })
    this.passes = this.#plans.reduce((sum, plan) => sum + plan.length, 0)
    this.rows = this.#plans.flat().reduce((sum, { positions }) => sum + positions.length, 0)
    this.steps = steps * windows.length
    this.#masked = this.rows
  }

  /** Until its first pass, or its end. */
  get waiting(): boolean {
    return this.startedAt === undefined && this.endedAt === undefined
  }

  get waitedMs(): number {
    return (this.startedAt ?? this.endedAt ?? performance.now()) - this.createdAt
  }

  get done(): boolean {
    return this.#masked === 0
  }

  /** Positions that are not yet revealed. */
  get masked(): number {
    return this.#masked
  }

  get remainingPasses(): number {
    const planned = this.#plans.slice(this.#window).reduce((sum, plan) => sum + plan.length, 0)
    return planned - this.#next
  }

  /** How many latent tokens the next pass sees. */
  get length(): number {
    const { start, end } = this.#windowNow
    return end - start
  }

  /** Latent tokens that the next pass sees. */
  get latentTokens(): Int32Array {
    const { start, end } = this.#windowNow
    return this.#options.tokens.subarray(start, end)
  }

  get windowStart(): number {
    return this.#windowNow.start
  }

  get options(): Readonly<SequenceOptions> {
    return this.#options
  }

  /** lambda of the next pass: one for all its rows, drawn anew each pass. */
  get lambda(): number {
    return this.#options.coins.lambda(this.#window, this.nextReveals.step)
  }

  /** The coin that picks the token at a position of the next pass. */
  coin(position: number): number {
    return this.#options.coins.token(this.#window, this.nextReveals.step, position)
  }

  /** None where it is done: it may still be asked while the lane of its last pass is being freed. */
  get nextRows(): number {
    return this.#plans[this.#window]?.[this.#next]?.positions.length ?? 0
  }

  /** How many positions a pass to come reveals; 0 is the next one. */
  rowsOf(pass: number): number {
    let index = this.#next + pass
    for (const plan of this.#plans.slice(this.#window)) {
      if (index < plan.length) return plan[index]!.positions.length
      index -= plan.length
    }
    return 0
  }

  get client(): Client | undefined {
    return this.#options.client
  }

  get hurried(): boolean {
    return this.#options.deadline !== undefined
  }

  /** What the next pass reveals: the step within the window, positions in the text. */
  get nextReveals(): PlannedStep {
    return this.#plans[this.#window]![this.#next]!
  }

  /**
   * Plans around the deadline, just before a pass: when there is no time for this pass and another one,
   * all that the window still masks is revealed by this one.
   * @param passMs how long a pass is expected to take
   */
  heedDeadline(now: number, passMs: number): void {
    const { deadline, windows, steps } = this.#options
    const plan = this.#plans[this.#window]!
    if (deadline === undefined || plan.length - this.#next < 2) return
    const share = (deadline - now) / (windows.length - this.#window)
    if (share >= 2 * passMs) return
    const positions = plan.splice(this.#next).flatMap((planned) => planned.positions)
    plan.push({ step: steps, positions: positions.sort((a, b) => a - b) })
    this.struck = true
  }

  /** Takes what the pass revealed, one result a position of `nextReveals`, in their order. */
  apply(results: readonly RowResult[], passMs: number): void {
    const { tokens, steps } = this.#options
    const { step, positions } = this.nextReveals
    const overall = this.#window * steps + step
    const reveals = positions.map((position, i): TokenReveal => {
      tokens[position] = results[i]!.token
      return { position, step: overall, ...results[i]! }
    })
    this.#masked -= reveals.length
    this.passMs += passMs
    this.passesDone++
    this.firstStepAt ??= performance.now()
    this.stream.push({ step: overall, t: 1 - step / steps, reveals, masked: this.#masked })
    this.#advance()
  }

  #advance(): void {
    this.#next++
    while (this.#window < this.#plans.length - 1 && this.#next >= this.#plans[this.#window]!.length) {
      this.#window++
      this.#next = 0
    }
  }

  get #windowNow(): Window {
    return this.#options.windows[this.#window]!
  }
}
