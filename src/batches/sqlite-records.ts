import { setImmediate } from 'node:timers/promises'
import type { DatabaseSyncInstance as Database } from '@photostructure/sqlite'
import { unixTime } from './batch-life.js'
import { type From, type Part, RECORD_BYTES, type Records } from './batch-queue.js'

/** Records that are read in one go: more would hold up everything else. */
const CHUNK = 32

/** Bytes of a record, and of the file that it is of. */
const weight = `octet_length(record) + ${RECORD_BYTES} + coalesce(record ->> '$.file.bytes', 0)`

/** Records in a table of `id` and `record`. */
export class SqliteRecords<T> implements Records<T> {
  readonly #database: Database
  readonly #table: string
  readonly #parts: Parts
  #bytes: number

  /** @param parts what records are listed by, as SQL: an index each */
  constructor(database: Database, table: string, parts: Parts) {
    this.#database = database
    this.#table = table
    this.#parts = parts
    database.exec(
      `CREATE TABLE IF NOT EXISTS ${table} (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID`
    )
    for (const [name, value] of Object.entries(parts))
      database.exec(`CREATE INDEX IF NOT EXISTS ${table}_${name} ON ${table} (${value}, id)`)
    this.#bytes = this.#weigh('TRUE')
  }

  /** What all of them take. */
  get bytes(): number {
    return this.#bytes
  }

  async get(id: string): Promise<T | undefined> {
    return this.#get(id)
  }

  async *list(part: Part = {}, { after, order }: From = {}): AsyncGenerator<T> {
    const [source, ...values] = this.#source(part)
    const [than, way, start] = order === 'asc' ? ['>', 'ASC', ''] : ['<', 'DESC', '~']
    const chunk = this.#database.prepare(
      `SELECT id, record FROM ${source} AND id ${than} ? ORDER BY id ${way} LIMIT ${CHUNK}`
    )
    for (let last = after ?? start; ; await setImmediate()) {
      const rows = chunk.all(...values, last) as { id: string; record: string }[]
      for (const { record } of rows) yield JSON.parse(record)
      if (rows.length < CHUNK) return
      last = rows.at(-1)!.id
    }
  }

  async put(id: string, record: T): Promise<void> {
    this.#put(id, record)
  }

  async change(id: string, change: (record: T) => T): Promise<T> {
    const record = this.#get(id)
    if (!record) throw new Error(`${this.#table}: expected ${id}, got none`)
    const changed = change(record)
    this.#put(id, changed) // nothing came between: no other process writes, and this one did not wait
    return changed
  }

  async delete(id: string): Promise<void> {
    this.#weighed(id, () => {
      this.#database.prepare(`DELETE FROM ${this.#table} WHERE id = ?`).run(id)
    })
  }

  #get(id: string): T | undefined {
    const row = this.#database.prepare(`SELECT record FROM ${this.#table} WHERE id = ?`).get(id)
    return row && JSON.parse((row as { record: string }).record)
  }

  #put(id: string, record: T): void {
    this.#weighed(id, () => {
      this.#database
        .prepare(`INSERT OR REPLACE INTO ${this.#table} (id, record) VALUES (?, ?)`)
        .run(id, JSON.stringify(record))
    })
  }

  #weighed(id: string, change: () => void): void {
    const before = this.#weigh('id = ?', id)
    change()
    this.#bytes += this.#weigh('id = ?', id) - before
  }

  #weigh(condition: string, ...values: string[]): number {
    const sum = this.#database.prepare(
      `SELECT total(${weight}) AS bytes FROM ${this.#table} WHERE ${condition}`
    )
    return (sum.get(...values) as { bytes: number }).bytes
  }

  /** By the index that is made for it: without statistics SQLite would take another. */
  #source({ owner, ended, reads, over }: Part): [source: string, ...values: (string | number | null)[]] {
    const table = this.#table
    const by = (name: keyof Part, test: string) =>
      `${table} INDEXED BY ${table}_${name} WHERE ${this.#parts[name]} ${test}`
    if (owner !== undefined) return [by('owner', 'IS ?'), owner]
    if (ended !== undefined) return [by('ended', '= 0')]
    if (reads !== undefined) return [by('reads', '= ?'), reads]
    if (over !== undefined) return [by('over', '<= ?'), unixTime()]
    return [`${table} WHERE TRUE`]
  }
}

type Parts = Readonly<Partial<Record<keyof Part, string>>>
