import type { Reveal, SequenceStart, StepEnd } from '../schemas.js'

/** What one attempt at a text has told: its start, every reveal in order, and the text that became final. */
export class TextSoFar {
  readonly start: SequenceStart
  readonly reveals: Reveal[] = []
  delta = ''
  last: StepEnd | undefined

  constructor(start: SequenceStart) {
    this.start = start
  }

  get step(): number {
    return this.last?.step ?? 0
  }

  add(event: StepEnd): void {
    this.reveals.push(...event.reveals)
    this.delta += event.delta ?? ''
    this.last = event
  }

  /** As one event, all that is told here and not there. */
  since(other?: TextSoFar): StepEnd[] {
    if (!this.last) return []
    const reveals = this.reveals.slice(other?.reveals.length ?? 0)
    if (this.last.delta === undefined) return [{ ...this.last, reveals }]
    return [{ ...this.last, reveals, delta: this.delta.slice(other?.delta.length ?? 0) }]
  }

  /** Whether everything that the other one told was told here too. */
  continues(other: TextSoFar): boolean {
    return other.reveals.every(({ position, token }, i) => {
      const reveal = this.reveals[i]
      return reveal?.position === position && reveal.token === token
    })
  }
}
