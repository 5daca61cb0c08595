import type { Records } from './batch-queue.js'
import type { NatsLink } from './nats-link.js'
import { type Entry, NatsTable } from './nats-table.js'

/** Records as JSON in a table of their own. */
export class NatsRecords<T> implements Records<T> {
  readonly #name: string
  readonly #table: NatsTable

  constructor(link: NatsLink, name: string) {
    this.#name = name
    this.#table = new NatsTable(link, name)
  }

  create(): Promise<void> {
    return this.#table.create()
  }

  async get(id: string): Promise<T | undefined> {
    const entry = await this.#table.get(id)
    return entry && parse(entry)
  }

  async list(): Promise<T[]> {
    const entries = await this.#table.list()
    return entries.sort((a, b) => (a.key < b.key ? 1 : -1)).map((entry) => parse<T>(entry))
  }

  async put(id: string, record: T): Promise<void> {
    await this.#table.put(id, JSON.stringify(record))
  }

  async change(id: string, change: (record: T) => T): Promise<T> {
    for (;;) {
      const entry = await this.#table.get(id)
      if (!entry) throw new Error(`${this.#name}: expected ${id}, got none`)
      const changed = change(parse(entry))
      if (await this.#table.put(id, JSON.stringify(changed), entry.revision)) return changed
    }
  }

  delete(id: string): Promise<void> {
    return this.#table.delete(id)
  }
}

function parse<T>({ value }: Entry): T {
  return JSON.parse(new TextDecoder().decode(value))
}
