import type { From, Part, Records } from './batch-queue.js'
import type { NatsLink } from './nats-link.js'
import { type Entry, NatsTable } from './nats-table.js'

/** Records as JSON in a table of their own. */
export class NatsRecords<T> implements Records<T> {
  readonly #name: string
  readonly #table: NatsTable
  readonly #isOf: (record: T, part: Part) => boolean

  /** @param isOf whether a record is of the part */
  constructor(link: NatsLink, name: string, isOf: (record: T, part: Part) => boolean) {
    this.#name = name
    this.#isOf = isOf
    this.#table = new NatsTable(link, name)
  }

  create(): Promise<void> {
    return this.#table.create()
  }

  async get(id: string): Promise<T | undefined> {
    const entry = await this.#table.get(id)
    return entry && parse(entry)
  }

  /** What is there when it is asked for. Of others nothing is kept, though all is read: NATS knows no index. */
  async *list(part: Part = {}, { after, order }: From = {}): AsyncGenerator<T> {
    const isBehind = (a: string, b: string) => (order === 'asc' ? a > b : a < b)
    const found: { key: string; record: T }[] = []
    for await (const entry of this.#table.list()) {
      if (after !== undefined && !isBehind(entry.key, after)) continue
      const record = parse<T>(entry)
      if (this.#isOf(record, part)) found.push({ key: entry.key, record })
    }
    found.sort((a, b) => (isBehind(a.key, b.key) ? 1 : -1))
    for (const { record } of found) yield record
  }

  async ids(): Promise<string[]> {
    return (await this.#table.survey('*')).found
  }

  size(): ReturnType<NatsTable['size']> {
    return this.#table.size()
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
