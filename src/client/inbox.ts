/** A queue with one reader, who waits while it is empty. */
export class Inbox<Item> {
  readonly #items: Item[] = []
  #failure: { readonly error: unknown } | undefined
  #wake = () => {}

  push(item: Item): void {
    this.#items.push(item)
    this.#wake()
  }

  /** The reader gets what is there, then the error. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }

  async take(): Promise<Item> {
    for (;;) {
      if (this.#items.length > 0) return this.#items.shift()!
      if (this.#failure) throw this.#failure.error
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
