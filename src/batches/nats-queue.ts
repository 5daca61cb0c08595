/** The queue of many machines: all is kept by NATS JetStream, in streams whose names begin with fewstep. */
import type { BatchResult } from '../answers.js'
import { RequestError } from '../errors.js'
import { outputFileIds, timeOf } from './batch-id.js'
import { hasEnded, isForgotten, isOver } from './batch-life.js'
import { refused } from './batch-lines.js'
import {
  type BatchQueue,
  type BatchRecord,
  type FileRecord,
  isOf,
  type Lead,
  type LineCounts,
  type Part,
  type QueuedLine,
  RECORD_BYTES,
  type TakenLine
} from './batch-queue.js'
import { NatsContents } from './nats-contents.js'
import { NatsLink, type NatsOptions } from './nats-link.js'
import { NatsRecords } from './nats-records.js'
import { NatsResults } from './nats-results.js'
import { NatsWork } from './nats-work.js'

function isFileOf(record: FileRecord, { owner, over }: Part): boolean {
  return isOf(record, owner) && (over === undefined || isOver(record.file))
}

function isBatchOf(record: BatchRecord, part: Part): boolean {
  const { batch } = record
  const runs = !hasEnded(batch)
  return (
    isOf(record, part.owner) &&
    (part.ended === undefined || runs) &&
    (part.reads === undefined || (runs && batch.input_file_id === part.reads)) &&
    (part.over === undefined || isForgotten(batch))
  )
}

/** No upload takes so long. */
const UPLOAD_MS = 3_600_000

export class NatsQueue implements BatchQueue {
  readonly kind = 'nats'
  onResult: BatchQueue['onResult'] = () => {}
  readonly files: NatsRecords<FileRecord>
  readonly batches: NatsRecords<BatchRecord>
  readonly #link: NatsLink
  readonly #contents: NatsContents
  readonly #results: NatsResults
  readonly #leads: NatsWork
  readonly #lines: NatsWork

  private constructor(link: NatsLink) {
    this.#link = link
    this.files = new NatsRecords(link, 'files', isFileOf)
    this.batches = new NatsRecords(link, 'batches', isBatchOf)
    this.#contents = new NatsContents(link)
    this.#results = new NatsResults(link)
    this.#leads = new NatsWork(link, 'leads')
    this.#lines = new NatsWork(link, 'lines')
  }

  /** @throws {ConfigError} when NATS cannot be reached, or keeps no streams */
  static async open(options: NatsOptions): Promise<NatsQueue> {
    const link = await NatsLink.open(options)
    const queue = new NatsQueue(link)
    const { files, batches } = queue
    for (const part of [files, batches, queue.#contents, queue.#leads, queue.#lines]) await part.create()
    await queue.#recover()
    link.onReturn = () => queue.#recover()
    return queue
  }

  get trouble(): string | null {
    return this.#link.trouble
  }

  /** Batches that were stored go on though their server ended before it said so; files that it did not finish are removed. */
  async #recover(): Promise<void> {
    const wanted = new Set(await this.files.ids())
    for await (const { batch } of this.batches.list({ ended: false }, { order: 'asc' })) {
      await this.begin(batch.id)
      for (const id of Object.values(outputFileIds(batch.id))) wanted.add(id)
    }
    for (const id of await this.#contents.list()) {
      if (!wanted.has(id) && Date.now() - timeOf(id) > UPLOAD_MS) await this.erase(id)
    }
  }

  async size(): Promise<number> {
    const [files, batches] = await Promise.all([this.files.size(), this.batches.size()])
    const records = files.bytes + batches.bytes + RECORD_BYTES * (files.messages + batches.messages)
    return records + (await this.#contents.bytes())
  }

  write(fileId: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#contents.write(fileId, chunks)
  }

  read(fileId: string): AsyncIterable<Uint8Array> {
    return this.#contents.read(fileId)
  }

  erase(fileId: string): Promise<void> {
    return this.#contents.erase(fileId)
  }

  begin(batchId: string): Promise<void> {
    return this.#leads.putOnce(batchId)
  }

  async lead(signal: AbortSignal): Promise<Lead | undefined> {
    const held = await this.#leads.take(signal)
    if (!held) return undefined
    const { batchId } = held
    return {
      batchId,
      end: async () => {
        await this.#results.drop(batchId)
        held.done()
      }
    }
  }

  async add(line: QueuedLine, signal: AbortSignal): Promise<void> {
    const { batchId, ...rest } = line
    if (await this.result(batchId, line.line)) return
    const data = JSON.stringify(rest)
    const excess = this.#excess(data)
    if (excess)
      await this.settle(batchId, line.line, refused(batchId, line.line, line.request.custom_id, excess))
    else await this.#lines.put(batchId, data, signal)
  }

  clear(batchId: string): Promise<void> {
    return this.#lines.drop(batchId)
  }

  async take(signal: AbortSignal): Promise<TakenLine | undefined> {
    for (;;) {
      const held = await this.#lines.take(signal)
      if (!held) return undefined
      const { batchId, data, again } = held
      const line: Omit<QueuedLine, 'batchId'> = JSON.parse(new TextDecoder().decode(data))
      if (again && (await this.result(batchId, line.line))) {
        held.done()
        continue
      }
      const settle = async (result: BatchResult) => {
        await this.settle(batchId, line.line, result)
        held.done()
      }
      return { ...line, batchId, settle }
    }
  }

  async settle(batchId: string, line: number, result: BatchResult): Promise<void> {
    const excess = this.#excess(JSON.stringify(result))
    const fitting = excess ? refused(batchId, line, result.custom_id, excess) : result
    let first = await this.#results.put(batchId, line, fitting)
    if (first === undefined) {
      if (await this.#isOver(batchId)) return
      await this.#results.create(batchId)
      first = await this.#results.put(batchId, line, fitting)
      if (await this.#isOver(batchId)) await this.#results.drop(batchId) // it ended meanwhile
    }
    if (first) this.onResult(fitting)
  }

  result(batchId: string, line: number): Promise<BatchResult | undefined> {
    return this.#results.get(batchId, line)
  }

  counts(batchId: string): Promise<LineCounts> {
    return this.#results.counts(batchId)
  }

  async close(): Promise<void> {
    this.#leads.close()
    this.#lines.close()
    await this.#link.close()
  }

  async #isOver(batchId: string): Promise<boolean> {
    const record = await this.batches.get(batchId)
    return !record || hasEnded(record.batch)
  }

  /** What is wrong with a line or result that no message holds. */
  #excess(json: string): RequestError | undefined {
    const bytes = Buffer.byteLength(json)
    const most = this.#link.maxMessageBytes
    if (bytes <= most) return undefined
    return new RequestError(
      'body_too_large',
      `expected a line and an answer of at most ${most} bytes each (max_payload of NATS), got ${bytes}`
    )
  }
}
