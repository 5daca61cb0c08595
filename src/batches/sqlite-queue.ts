/** The queue of one machine: files in a folder, everything else in an SQLite database beside them. */
import { createReadStream, createWriteStream, mkdirSync } from 'node:fs'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { type DatabaseSyncInstance as Database, DatabaseSync } from '@photostructure/sqlite'
import type { BatchResult } from '../answers.js'
import { RequestError } from '../errors.js'
import { ConfigError } from '../setting.js'
import { endStates, hasEnded, KEPT_SECONDS } from './batch-life.js'
import type {
  BatchQueue,
  BatchRecord,
  FileRecord,
  Lead,
  LineCounts,
  QueuedLine,
  TakenLine
} from './batch-queue.js'
import { SqliteRecords } from './sqlite-records.js'
import { WaitingRoom } from './waiting-room.js'

/** Lines that wait in memory. The others wait in their files. */
const ROOM = 256

/** Results that are deleted in one go: more would hold up everything else. */
const FORGOTTEN = 500

/**
 * A record is on the disk when it is said to be. A result may be lost when the power fails, not when the process does:
 * its line is then run again, to the same text.
 */
const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS results (
    batch TEXT NOT NULL, line INTEGER NOT NULL, failed INTEGER NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (batch, line)
  ) WITHOUT ROWID;
`

const owner = "record ->> '$.owner'"
const ended = `(record ->> '$.batch.status' IN ('${endStates.join("', '")}'))`

export class SqliteQueue implements BatchQueue {
  readonly kind = 'sqlite'
  readonly trouble = null
  onResult: BatchQueue['onResult'] = () => {}
  readonly files: SqliteRecords<FileRecord>
  readonly batches: SqliteRecords<BatchRecord>
  readonly #folder: string
  readonly #database: Database
  readonly #lock: Database
  /** Of batches that were asked for: counting the rows takes longer the more there are. */
  readonly #counts = new Map<string, LineCounts>()
  readonly #leads = new WaitingRoom<string>()
  readonly #lines = new WaitingRoom<QueuedLine>(ROOM)

  private constructor(folder: string, database: Database, lock: Database) {
    this.#folder = folder
    this.#database = database
    this.#lock = lock
    this.files = new SqliteRecords(database, 'files', { owner, over: "(record ->> '$.file.expires_at')" })
    this.batches = new SqliteRecords(database, 'batches', {
      owner,
      ended,
      reads: `CASE WHEN NOT ${ended} THEN record ->> '$.batch.input_file_id' END`,
      over: `CASE WHEN ${ended} THEN (record ->> '$.batch.expires_at') + ${KEPT_SECONDS} END`
    })
  }

  /** @throws {ConfigError} when the folder cannot be used, or another server uses it */
  static async open(folder: string): Promise<SqliteQueue> {
    try {
      mkdirSync(join(folder, 'files'), { recursive: true })
      // A transaction that stays open: the system ends it with the process, however that ends.
      const lock = new DatabaseSync(join(folder, 'lock.db'))
      lock.exec('BEGIN EXCLUSIVE')
      const database = new DatabaseSync(join(folder, 'batches.db'))
      database.exec(schema)
      const queue = new SqliteQueue(folder, database, lock)
      await queue.#recover()
      return queue
    } catch (error) {
      const { message } = error as Error
      const reason = /locked/.test(message) ? 'one that another server uses' : message
      throw new ConfigError(`--data: expected a folder to write to, got "${folder}": ${reason}`)
    }
  }

  /** Takes up what another process left: batches go on, files that were not written whole are removed. */
  async #recover(): Promise<void> {
    for await (const { batch } of this.batches.list({ ended: false }, { order: 'asc' }))
      await this.begin(batch.id)
    for (const id of this.#batchesWithResults()) if (await this.#isOver(id)) await this.#forget(id)
    for (const name of await readdir(join(this.#folder, 'files'))) {
      if (!(await this.files.get(name))) await this.erase(name)
    }
  }

  async size(): Promise<number> {
    return this.files.bytes + this.batches.bytes
  }

  async write(fileId: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#path(fileId)
    const part = `${path}.part`
    try {
      await pipeline(chunks, createWriteStream(part, { flush: true }))
      await rename(part, path)
      await syncFolder(join(this.#folder, 'files'))
    } catch (error) {
      await rm(part, { force: true })
      const { code = '' } = error as NodeJS.ErrnoException
      if (!['ENOSPC', 'EDQUOT'].includes(code)) throw error
      throw new RequestError('disk_full', "The server's disk has no room for the file.")
    }
  }

  read(fileId: string): AsyncIterable<Uint8Array> {
    return createReadStream(this.#path(fileId))
  }

  async erase(fileId: string): Promise<void> {
    await rm(this.#path(fileId), { force: true })
  }

  async begin(batchId: string): Promise<void> {
    await this.#leads.put(batchId, never)
  }

  async lead(signal: AbortSignal): Promise<Lead | undefined> {
    const batchId = await this.#leads.take(signal)
    return batchId === undefined ? undefined : { batchId, end: () => this.#forget(batchId) }
  }

  async add(line: QueuedLine, signal: AbortSignal): Promise<void> {
    if (!this.#row(line.batchId, line.line)) await this.#lines.put(line, signal)
  }

  async clear(batchId: string): Promise<void> {
    this.#lines.drop((line) => line.batchId === batchId)
  }

  async take(signal: AbortSignal): Promise<TakenLine | undefined> {
    const line = await this.#lines.take(signal)
    return line && { ...line, settle: (result) => this.settle(line.batchId, line.line, result) }
  }

  async settle(batchId: string, line: number, result: BatchResult): Promise<void> {
    if (await this.#isOver(batchId)) return
    const counts = this.#countsOf(batchId)
    const failed = Number(result.error !== null)
    if (!this.#insert(batchId, line, failed, JSON.stringify(result))) return
    const completed = counts.completed + 1 - failed
    this.#counts.set(batchId, { completed, failed: counts.failed + failed })
    this.onResult(result)
  }

  async result(batchId: string, line: number): Promise<BatchResult | undefined> {
    const row = this.#row(batchId, line)
    return row && JSON.parse(row.result)
  }

  async counts(batchId: string): Promise<LineCounts> {
    return this.#countsOf(batchId)
  }

  async close(): Promise<void> {
    this.#database.close()
    this.#lock.close()
  }

  async #isOver(batchId: string): Promise<boolean> {
    const record = await this.batches.get(batchId)
    return !record || hasEnded(record.batch)
  }

  /** One by one: what each of them has is passed over. */
  *#batchesWithResults(): Generator<string> {
    const next = this.#database.prepare('SELECT min(batch) AS id FROM results WHERE batch > ?')
    for (let id: string | null = ''; ; ) {
      id = (next.get(id) as { id: string | null }).id
      if (id === null) return
      yield id
    }
  }

  #row(batchId: string, line: number): { result: string } | undefined {
    return this.#database
      .prepare('SELECT result FROM results WHERE batch = ? AND line = ?')
      .get(batchId, line) as { result: string } | undefined
  }

  /** @returns whether the line had no result before */
  #insert(batchId: string, line: number, failed: number, result: string): boolean {
    this.#database.exec('PRAGMA synchronous = NORMAL')
    try {
      const { changes } = this.#database
        .prepare('INSERT OR IGNORE INTO results (batch, line, failed, result) VALUES (?, ?, ?, ?)')
        .run(batchId, line, failed, result)
      return changes > 0
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL')
    }
  }

  #countsOf(batchId: string): LineCounts {
    const known = this.#counts.get(batchId)
    if (known) return known
    const { total, failed } = this.#database
      .prepare('SELECT count(*) AS total, coalesce(sum(failed), 0) AS failed FROM results WHERE batch = ?')
      .get(batchId) as { total: number; failed: number }
    const counts = { completed: total - failed, failed }
    this.#counts.set(batchId, counts)
    return counts
  }

  async #forget(batchId: string): Promise<void> {
    this.#counts.delete(batchId)
    const some = this.#database.prepare(
      'DELETE FROM results WHERE batch = ?1 AND line IN (SELECT line FROM results WHERE batch = ?1 LIMIT ?2)'
    )
    while (Number(some.run(batchId, FORGOTTEN).changes) > 0) await setImmediate()
  }

  #path(fileId: string): string {
    return join(this.#folder, 'files', fileId)
  }
}

const never = new AbortController().signal

/** A renamed file is there after a power failure when its folder is on the disk, too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
