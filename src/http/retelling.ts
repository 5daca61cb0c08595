import type { TextEvent } from '../text/text.js'
import { type Bookmark, checkOf, notResumable, type Told } from './bookmark.js'

export interface Retold {
  readonly event: TextEvent
  /** Undefined where the reader knows it: not to be sent. */
  readonly id: string | undefined
}

/**
 * The events of a request, with the id of each that is new to its reader. A text that the reader has a part of is written again from
 * its start; its known steps are left out, and one of which only a part is known (steps may come joined) is cut there.
 * @param bookmark how far the reader has come; moves on with the events
 * @throws {RequestError} `not_resumable` when another text is written than the reader has the beginning of
 */
export async function* retell(events: AsyncIterable<TextEvent>, bookmark: Bookmark): AsyncGenerator<Retold> {
  const texts: Retelling[] = []
  for await (const event of events) {
    texts[event.index] ??= new Retelling(bookmark.told(event.index))
    const fresh = texts[event.index]!.untold(event)
    if (fresh) bookmark.add(fresh)
    if (fresh || event.type !== 'step-end') yield { event: fresh ?? event, id: fresh && bookmark.id }
  }
}

/** One text that is written again. */
class Retelling {
  readonly #known: Told
  #deltas = ''
  #check = 0
  #caughtUp = false

  constructor(known: Told) {
    this.#known = known
  }

  /** What of an event its reader does not know. */
  untold(event: TextEvent): TextEvent | undefined {
    const { step, chars, ended } = this.#known
    if (event.type === 'sequence-start') return step < 0 ? event : undefined
    if (event.type === 'sequence-end') {
      if (!this.#caughtUp && step > 0) throw notResumable()
      return ended ? undefined : event
    }
    if (this.#caughtUp) return ended ? undefined : event
    this.#check = checkOf(
      event.reveals.filter((reveal) => reveal.step <= step),
      this.#check
    )
    this.#deltas += event.delta ?? ''
    if (event.step < step) return undefined
    if (this.#check !== this.#known.check || this.#deltas.length < chars) throw notResumable()
    this.#caughtUp = true
    if (ended || event.step === step) return undefined
    const late = { ...event, reveals: event.reveals.filter((reveal) => reveal.step > step) }
    return event.delta === undefined ? late : { ...late, delta: this.#deltas.slice(chars) }
  }
}
