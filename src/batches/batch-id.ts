import { createHash, randomBytes } from 'node:crypto'

const STAMP_DIGITS = 9

/** An id that sorts by when it was made, such as batch_0mbx2k4f9e1d3c5b7a99887766. */
export function newBatchId(): string {
  return `batch_${stamp()}`
}

export function newFileId(): string {
  return `file-${stamp()}`
}

/** The files that a batch writes: always the same, so that they are the same files when they are written again. */
export function outputFileIds(batchId: string): { output: string; error: string } {
  const id = batchId.slice('batch_'.length)
  return { output: `file-${id}-output`, error: `file-${id}-error` }
}

/** The id of a line's request in answers and logs. */
export function lineId(batchId: string, line: number): string {
  return `batch_req_${batchId.slice('batch_'.length)}_${line}`
}

/** What a line that gives no seed is written with: run again, it gives the same text. */
export function lineSeed(batchSeed: number, line: number): number {
  return createHash('sha256').update(`${batchSeed}:${line}`).digest().readUIntBE(0, 6) % (2 ** 48 - 1)
}

/** Whether it may be the id of a file. Nothing else is looked up: to a queue, * and > may stand for many. */
export function isFileId(id: string): boolean {
  return /^file-[0-9a-z]{29}(-output|-error)?$/.test(id)
}

export function isBatchId(id: string): boolean {
  return /^batch_[0-9a-z]{29}$/.test(id)
}

function stamp(): string {
  return Date.now().toString(36).padStart(STAMP_DIGITS, '0') + randomBytes(10).toString('hex')
}

/** When the file was begun, or the batch that it is of: Unix milliseconds. */
export function timeOf(fileId: string): number {
  return Number.parseInt(fileId.slice('file-'.length, 'file-'.length + STAMP_DIGITS), 36)
}
