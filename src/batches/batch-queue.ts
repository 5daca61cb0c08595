/** Where files lie, what is known of batches, and where their lines wait: on one machine or for many. */
import type { BatchObject, BatchResult, FileObject } from '../answers.js'
import type { BatchLine } from '../schemas.js'

/** What no client sees of a file or batch: whose it is. Null where the server has no keys. */
interface Owned {
  readonly owner: string | null
}

export interface FileRecord extends Owned {
  readonly file: FileObject
  /** Lines that are not blank; 0 for what the server wrote. */
  readonly lines: number
}

export interface BatchRecord extends Owned {
  readonly batch: BatchObject
  /** Of it and a line's number the line's own seed is made. */
  readonly seed: number
  /** Seconds that its output files are kept; null for ever. */
  readonly outputSeconds: number | null
}

/** A line whose form and body are in order. */
export interface QueuedLine {
  readonly batchId: string
  /** In the file, counted from 1. */
  readonly line: number
  readonly seed: number
  readonly request: BatchLine
}

/** A line that is to be run here, now. It comes again, here or elsewhere, unless it is settled. */
export interface TakenLine extends QueuedLine {
  /** Resolves when the result is stored; of two results of one line the first is kept. */
  settle(result: BatchResult): Promise<void>
}

/** A batch that is to be led here: its lines are added to the queue and its output is written. */
export interface Lead {
  readonly batchId: string
  /** It has ended, and what was kept of its lines is no longer needed. */
  end(): Promise<void>
}

/** Whether it is theirs: everybody's is where it is undefined. */
export function isOf({ owner }: Owned, whose: string | null | undefined): boolean {
  return whose === undefined || owner === whose
}

/** Which records are meant: all, or those that one of these is true of. */
export interface Part {
  readonly owner?: string | null | undefined
  /** Batches that have not ended. */
  readonly ended?: false
  /** Batches that have not ended and read this file. */
  readonly reads?: string
  /** Those that nobody is told of any more. */
  readonly over?: true
}

export interface From {
  /** Behind this id. */
  readonly after?: string
  /** The newest first, unless it is asc. */
  readonly order?: string
}

/** What each record takes of the room for data, beside its own length: so many of them there can be. */
export const RECORD_BYTES = 16 * 1024

/** Records by their id, which sort by age. */
export interface Records<T> {
  get(id: string): Promise<T | undefined>
  list(part?: Part, from?: From): AsyncIterable<T>
  put(id: string, record: T): Promise<void>
  /** Nobody else changes it between: `change` is given what is there, and may be given it again. */
  change(id: string, change: (record: T) => T): Promise<T>
  delete(id: string): Promise<void>
}

export interface LineCounts {
  readonly completed: number
  readonly failed: number
}

/**
 * What it has said it stored survives the end of any process. Its promises fail while it cannot be reached.
 *
 *   begin -> lead -> add (a line) -> take -> settle -> result -> (output written) -> end
 */
export interface BatchQueue {
  readonly kind: 'sqlite' | 'nats'
  /** Why it cannot be reached; null while it can. */
  readonly trouble: string | null
  /** Told of each result that was stored here: of one line once. */
  onResult: (result: BatchResult) => void
  readonly files: Records<FileRecord>
  readonly batches: Records<BatchRecord>

  /** Bytes that all files and records take. */
  size(): Promise<number>
  /** Stores all of it, or nothing when the chunks end with an error. */
  write(fileId: string, chunks: AsyncIterable<Uint8Array>): Promise<void>
  read(fileId: string): AsyncIterable<Uint8Array>
  /** Deletes what `write` stored. */
  erase(fileId: string): Promise<void>

  /** Lets a batch wait for a server that leads it. */
  begin(batchId: string): Promise<void>
  /** The next batch to lead; undefined once aborted. */
  lead(signal: AbortSignal): Promise<Lead | undefined>
  /** Lets a line wait to be taken, unless it has a result. May wait itself, while many lines do. */
  add(line: QueuedLine, signal: AbortSignal): Promise<void>
  /** Lines of the batch that wait will not be taken. */
  clear(batchId: string): Promise<void>
  /** The next line to run; undefined once aborted. */
  take(signal: AbortSignal): Promise<TakenLine | undefined>
  /** Stores a result; the first one of a line is kept. */
  settle(batchId: string, line: number, result: BatchResult): Promise<void>
  result(batchId: string, line: number): Promise<BatchResult | undefined>
  counts(batchId: string): Promise<LineCounts>
  close(): Promise<void>
}

/** The id of a batch that has not ended and reads the file. */
export async function readerOf(fileId: string, queue: BatchQueue): Promise<string | undefined> {
  for await (const { batch } of queue.batches.list({ reads: fileId })) return batch.id
  return undefined
}
