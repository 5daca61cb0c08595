import type { DatabaseSyncInstance as Database } from '@photostructure/sqlite'
import type { Records } from './batch-queue.js'

/** Records in a table of `id` and `record`. */
export class SqliteRecords<T> implements Records<T> {
  readonly #database: Database
  readonly #table: string

  constructor(database: Database, table: string) {
    this.#database = database
    this.#table = table
  }

  async get(id: string): Promise<T | undefined> {
    return this.#get(id)
  }

  async list(): Promise<T[]> {
    const rows = this.#database.prepare(`SELECT record FROM ${this.#table} ORDER BY id DESC`).all()
    return (rows as { record: string }[]).map(({ record }) => JSON.parse(record))
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
    this.#database.prepare(`DELETE FROM ${this.#table} WHERE id = ?`).run(id)
  }

  #get(id: string): T | undefined {
    const row = this.#database.prepare(`SELECT record FROM ${this.#table} WHERE id = ?`).get(id)
    return row && JSON.parse((row as { record: string }).record)
  }

  #put(id: string, record: T): void {
    this.#database
      .prepare(`INSERT OR REPLACE INTO ${this.#table} (id, record) VALUES (?, ?)`)
      .run(id, JSON.stringify(record))
  }
}
