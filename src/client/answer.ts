import type { SequenceEvent } from '../schemas.js'

/** Await it for the whole, or iterate over it for every step. Nothing is sent before one or the other. */
export class Answer<Whole> implements PromiseLike<Whole>, AsyncIterable<SequenceEvent> {
  readonly #fetch: () => Promise<Whole>
  readonly #stream: () => AsyncGenerator<SequenceEvent>
  #whole: Promise<Whole> | undefined

  constructor(fetch: () => Promise<Whole>, stream: () => AsyncGenerator<SequenceEvent>) {
    this.#fetch = fetch
    this.#stream = stream
  }

  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what it is for
  then<A = Whole, B = never>(
    onWhole?: ((whole: Whole) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    this.#whole ??= this.#fetch()
    return this.#whole.then(onWhole, onError)
  }

  [Symbol.asyncIterator](): AsyncGenerator<SequenceEvent> {
    return this.#stream()
  }
}
