import type { CompletionRequest, InfillRequest, SequenceEvent, StepEnd } from '../schemas.js'
import { TextSoFar } from './text-so-far.js'

/**
 * Events of a request that may be sent anew, each told once. Same seed, same text: so an attempt that takes over from
 * a lost one tells what is known already first, and that is left out. A server that writes another text all the same
 * (its model was replaced) has the reader start over, with a second `sequence-start`.
 */
export class Resumption {
  /** By index of the text: what the reader has had, and what the attempt under way has told. */
  #told: TextSoFar[] = []
  #current: TextSoFar[] = []
  readonly #ended = new Set<number>()

  /** What to send for the next attempt: the seed that was drawn, and the model that was chosen. */
  next<Request extends CompletionRequest | InfillRequest>(request: Request): Request {
    this.#current = []
    const first = this.#told.find(Boolean)
    return first ? { ...request, seed: first.start.seed, model: first.start.model } : request
  }

  /** What of an event is new to the reader. */
  take(event: SequenceEvent): SequenceEvent[] {
    const { index } = event
    if (this.#ended.has(index)) return []
    if (event.type === 'sequence-start') return this.#start(new TextSoFar(event), index)
    if (event.type === 'step-end') return this.#step(event)
    this.#ended.add(index)
    return [...this.#catchUp(index), event]
  }

  #start(text: TextSoFar, index: number): SequenceEvent[] {
    this.#current[index] = text
    if (this.#told[index]) return []
    this.#told[index] = text
    return [text.start]
  }

  #step(event: StepEnd): SequenceEvent[] {
    const current = this.#current[event.index]!
    const told = this.#told[event.index]!
    current.add(event)
    if (told === current) return [event]
    return current.step < told.step ? [] : this.#catchUp(event.index)
  }

  /** The attempt knows as much as the reader: goes on from there, or starts over. */
  #catchUp(index: number): SequenceEvent[] {
    const current = this.#current[index]!
    const told = this.#told[index]!
    if (told === current) return []
    this.#told[index] = current
    return current.continues(told) ? current.since(told) : [current.start, ...current.since()]
  }
}
