import { write } from './writing.js'

/** Clients who ask for one short text after the other, whatever happens meanwhile. */
export class Visitors {
  /** What they were answered, and by whom, in this order. */
  readonly answers: { status: string; replica: string }[] = []
  readonly #clients: Promise<void>[]
  #leave = false

  constructor(url: string, request: object, clients: number) {
    this.#clients = Array.from({ length: clients }, async () => {
      while (!this.#leave) this.answers.push(await write(url, request))
    })
  }

  /** Resolves to all answers when the last text has come. */
  async leave(): Promise<readonly { status: string; replica: string }[]> {
    this.#leave = true
    await Promise.all(this.#clients)
    return this.answers
  }
}
