import type { Tokenizer } from '../tokenizer/tokenizer.js'

/**
 * The part of a completion that is final: what lies before its first mask, up to the end-of-text token or the first
 * stop string. Positions come in any order; the text grows at its end only, by whole characters.
 *
 *   revealed:  T h e   c a t _ _ s a t      (_ masked)
 *   committed: T h e   c a t
 */
export class CommittedText {
  readonly #tokenizer: Tokenizer
  readonly #stop: readonly string[]
  readonly #endToken: number
  readonly #known: (number | undefined)[]
  #frontier = 0 // tokens committed
  #undecoded = 0 // of them, the last ones, which may be part of a character
  #text = ''
  #sent = 0 // characters given out as deltas
  #stopped = false
  #cut = false // by a stop string

  /** @param length tokens of the completion */
  constructor(length: number, tokenizer: Tokenizer, stop: readonly string[], endToken: number) {
    this.#known = new Array<number | undefined>(length).fill(undefined)
    this.#tokenizer = tokenizer
    this.#stop = stop
    this.#endToken = endToken
  }

  /** The text has met its end-of-text token or a stop string: nothing revealed later changes it. */
  get stopped(): boolean {
    return this.#stopped
  }

  get text(): string {
    return this.#text
  }

  /** Whether a stop string cut it, not the end-of-text token. */
  get cut(): boolean {
    return this.#cut
  }

  reveal(index: number, token: number): void {
    this.#known[index] = token
  }

  /** Text that became final since the last call. All of these together are `text`. */
  takeDelta(): string {
    if (!this.#stopped) this.#advance()
    const complete = this.#stopped || this.#frontier === this.#known.length
    const end = complete ? this.#text.length : this.#text.length - this.#possibleStop()
    const delta = this.#text.slice(this.#sent, end)
    this.#sent = end
    return delta
  }

  /** How many tokens the text is made of, the end-of-text token not counted. */
  get tokenCount(): number {
    const tokens = this.#committed
    if (!this.#cut) return tokens.length
    let count = tokens.length
    while (count > 0 && this.#tokenizer.decode(tokens.slice(0, count - 1)).length >= this.#text.length)
      count--
    return count
  }

  #advance(): void {
    while (this.#frontier < this.#known.length) {
      const token = this.#known[this.#frontier]
      if (token === undefined) break
      if (token === this.#endToken) {
        this.#stopped = true
        break
      }
      this.#frontier++
      this.#undecoded++
    }
    this.#decode()
    this.#findStop()
  }

  #decode(): void {
    const text = this.#tokenizer.decode(this.#committed.slice(this.#frontier - this.#undecoded))
    const complete = this.#stopped || this.#frontier === this.#known.length
    if (text.endsWith('\ufffd') && !complete) return // perhaps the first bytes of a character
    this.#text += text
    this.#undecoded = 0
  }

  #findStop(): void {
    // What was given out cannot be part of a stop string: `#possibleStop` held such an end back.
    const found = this.#stop.map((stop) => this.#text.indexOf(stop, this.#sent)).filter((index) => index >= 0)
    if (found.length === 0) return
    this.#text = this.#text.slice(0, Math.min(...found))
    this.#stopped = true
    this.#cut = true
  }

  /** Length of the longest end of the text that a stop string begins with. */
  #possibleStop(): number {
    let longest = 0
    for (const stop of this.#stop) {
      for (let length = Math.min(stop.length - 1, this.#text.length); length > longest; length--) {
        if (this.#text.endsWith(stop.slice(0, length))) longest = length
      }
    }
    return longest
  }

  get #committed(): number[] {
    return this.#known.slice(0, this.#frontier) as number[]
  }
}
