import type { SequenceStart, StepEnd } from '../schemas.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import type { Cell } from './lines.js'

export interface DraftOptions {
  readonly before: string
  readonly after: string
  readonly tokenizer: Tokenizer
  readonly endOfText: number
}

interface Place {
  readonly token: number
  readonly step: number
}

/** A completion on its way, as cells to draw: what is known, what is new, what is masked. */
export class Draft {
  readonly #options: DraftOptions
  readonly #start: number
  readonly #places: (Place | undefined)[]
  #step = 0

  constructor({ holes }: SequenceStart, options: DraftOptions) {
    this.#options = options
    this.#start = holes[0]!.start
    this.#places = Array.from({ length: holes[0]!.length })
  }

  apply({ step, reveals }: StepEnd): void {
    this.#step = step
    for (const { position, token } of reveals) this.#places[position - this.#start] = { token, step }
  }

  cells(): Cell[] {
    const { before, after } = this.#options
    return [{ text: before, style: 'plain' }, ...this.#hole(), { text: after, style: 'plain' }]
  }

  /** Neighbours that are parts of one character are drawn as one; what follows an end of text is no part of the text. */
  #hole(): Cell[] {
    const { tokenizer, endOfText } = this.#options
    const cells: Cell[] = []
    let parts: Place[] = []
    const endParts = () => {
      if (parts.length === 0) return
      const text = tokenizer.decode(parts.map(({ token }) => token))
      cells.push({ text, style: parts.some(({ step }) => step === this.#step) ? 'revealed' : 'plain' })
      parts = []
    }
    for (const place of this.#places) {
      if (place?.token === endOfText) break
      if (place === undefined) {
        endParts()
        cells.push({ text: ' ░░░', style: 'masked' })
      } else {
        parts.push(place)
        if (!tokenizer.decode(parts.map(({ token }) => token)).endsWith('\ufffd')) endParts()
      }
    }
    endParts()
    return cells
  }
}
