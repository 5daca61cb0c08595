import { EventEmitter, once } from 'node:events'

/** Things that wait to be taken, in order. There is room for so many; who brings more waits himself. */
export class WaitingRoom<T> {
  readonly #room: number
  readonly #events = new EventEmitter().setMaxListeners(0)
  #items: T[] = []

  constructor(room = Number.POSITIVE_INFINITY) {
    this.#room = room
  }

  /** @throws the signal's reason when it is aborted first */
  async put(item: T, signal: AbortSignal): Promise<void> {
    while (this.#items.length >= this.#room) await this.#change(signal)
    signal.throwIfAborted()
    this.#items.push(item)
    this.#tell()
  }

  /** Undefined once aborted. */
  async take(signal: AbortSignal): Promise<T | undefined> {
    while (this.#items.length === 0 && !signal.aborted) await this.#change(signal).catch(() => {})
    if (signal.aborted) return undefined
    const item = this.#items.shift()
    this.#tell()
    return item
  }

  drop(unwanted: (item: T) => boolean): void {
    this.#items = this.#items.filter((item) => !unwanted(item))
    this.#tell()
  }

  #change(signal: AbortSignal): Promise<unknown> {
    return once(this.#events, 'change', { signal })
  }

  #tell(): void {
    this.#events.emit('change')
  }
}
