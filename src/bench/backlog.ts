import type { Call } from './call.js'
import type { Span } from './load.js'

/** Of the requests of a stretch, so many more than at its beginning have to be under way before that is no chance. */
const SHARE = 0.1
/** Poisson arrivals vary by the root of their number: what is less than so many times that may be chance. */
const DEVIATIONS = 1.5

/**
 * Whether more requests come than are answered. It looks at the second half of each slice, when as many end as come if the server keeps up:
 * so a slice has to be at least twice as long as a text takes.
 */
export class Backlog {
  #growth = 0
  #came = 0

  addSlice({ start, stop }: Span, calls: readonly Call[]): void {
    const middle = (start + stop) / 2
    const underWay = (at: number) => calls.filter(({ due, ended }) => due <= at && ended > at).length
    this.#growth += underWay(stop) - underWay(middle)
    this.#came += calls.filter(({ due }) => due > middle).length
  }

  get grows(): boolean {
    return this.#growth > Math.max(SHARE * this.#came, DEVIATIONS * Math.sqrt(this.#came))
  }
}
