import { setMaxListeners } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { RequestError } from '../errors.js'
import { AT_ONCE, ahead } from './ahead.js'
import { lineSeed, outputFileIds } from './batch-id.js'
import { cutShort, endedAs, finalizing, hasEnded, unixTime } from './batch-life.js'
import { type CheckLine, notRun, readLines, refused } from './batch-lines.js'
import type { BatchQueue, BatchRecord } from './batch-queue.js'

export interface LeadOptions {
  readonly queue: BatchQueue
  readonly check: CheckLine
  readonly maxLineBytes: number
  /** Aborted when another server or process is to lead on. */
  readonly signal: AbortSignal
}

/** How often a batch is looked at: whether it is cancelled, or done. */
const LOOK_MS = 200

const reasons = {
  cancelled: () => new RequestError('batch_cancelled', 'The batch was cancelled before this line was run.'),
  expired: () => new RequestError('batch_expired', 'The completion window was over before this line was run.')
}

/**
 * Leads a batch to its end: adds its lines to the queue, waits until each has a result, writes the output. It may be ended at any
 * point and begun again, by whoever it is: what is done is not done again, and the output is the same.
 */
export async function leadBatch(batchId: string, options: LeadOptions): Promise<void> {
  const { queue, signal } = options
  const record = await queue.batches.get(batchId)
  if (!record || hasEnded(record.batch)) return
  await queue.clear(batchId)
  const cut = new AbortController()
  const either = AbortSignal.any([signal, cut.signal])
  let wanted = true as boolean
  const watch = watchForCut(batchId, queue, either)
    .then(() => {
      wanted = false
    })
    .catch(() => {}) // then nobody watches, and the work is begun again
    .finally(() => cut.abort())
  try {
    await runLines(record, { ...options, signal: either })
  } catch (error) {
    if (signal.aborted || wanted) throw error
  } finally {
    cut.abort()
    await watch
  }
  signal.throwIfAborted()
  await queue.clear(batchId)
  const last = await queue.batches.change(batchId, (now) => ({
    ...now,
    batch: finalizing(now.batch, unixTime())
  }))
  await settleRest(last, options)
  await writeOutput(last, options)
}

async function runLines(record: BatchRecord, options: LeadOptions): Promise<void> {
  const { queue, signal } = options
  const { id, input_file_id, request_counts } = record.batch
  setMaxListeners(0, signal) // each line that waits is one
  const lines = readLines(record, queue.read(input_file_id), options)
  const added = ahead(lines, AT_ONCE, async ({ number, customId, request }) => {
    signal.throwIfAborted()
    if (request instanceof RequestError) {
      await queue.settle(id, number, refused(id, number, customId, request))
    } else {
      await queue.add({ batchId: id, line: number, seed: lineSeed(record.seed, number), request }, signal)
    }
  })
  for await (const _ of added);
  for (;;) {
    const { completed, failed } = await queue.counts(id)
    if (completed + failed >= request_counts.total) return
    await setTimeout(LOOK_MS, undefined, { signal })
  }
}

/** Resolves when its lines are no longer to be run. */
async function watchForCut(batchId: string, queue: BatchQueue, signal: AbortSignal): Promise<void> {
  for (;;) {
    const record = await queue.batches.get(batchId)
    if (!record || cutShort(record.batch, unixTime()) !== null) return
    await setTimeout(LOOK_MS, undefined, { signal })
  }
}

/** Settles the lines that were not run. Then every line has its result for good: whoever writes the output writes the same. */
async function settleRest(record: BatchRecord, options: LeadOptions): Promise<void> {
  const { queue } = options
  const { id, input_file_id, request_counts, status } = record.batch
  const { completed, failed } = await queue.counts(id)
  if (completed + failed >= request_counts.total) return
  const reason = reasons[status === 'cancelling' ? 'cancelled' : 'expired']()
  const lines = readLines(record, queue.read(input_file_id), options)
  const settled = ahead(lines, AT_ONCE, (line) => queue.settle(id, line.number, notRun(id, line, reason)))
  for await (const _ of settled);
}

async function writeOutput(record: BatchRecord, options: LeadOptions): Promise<void> {
  const { queue } = options
  const { batch } = record
  const cancelled = batch.status === 'cancelling'
  const ids = outputFileIds(batch.id)
  const output = await writeFile(record, ids.output, options, false)
  const errors = await writeFile(record, ids.error, options, true)
  const request_counts = { total: output.lines + errors.lines, completed: output.lines, failed: errors.lines }
  const files = { output_file_id: output.id, error_file_id: errors.id, request_counts }
  const status = cancelled ? 'cancelled' : errors.notRun > 0 ? 'expired' : 'completed'
  await queue.batches.change(batch.id, (now) => ({
    ...now,
    batch: hasEnded(now.batch) ? now.batch : endedAs(now.batch, status, files, unixTime())
  }))
}

/** Writes the lines with an answer, or those without, in the order of the input; no file when there are none. */
async function writeFile(
  record: BatchRecord,
  fileId: string,
  options: LeadOptions,
  failed: boolean
): Promise<{ id: string | null; lines: number; notRun: number }> {
  const { queue, signal } = options
  const { id, input_file_id } = record.batch
  const count = { lines: 0, notRun: 0, bytes: 0 }
  async function* chunks() {
    const lines = readLines(record, queue.read(input_file_id), options)
    for await (const result of ahead(lines, AT_ONCE, ({ number }) => queue.result(id, number))) {
      signal.throwIfAborted()
      // Another server led the batch to its end meanwhile: it has written the output.
      if (!result) throw new Error(`batch ${id}: expected a result of each line, got none of one`)
      if ((result.error !== null) !== failed) continue
      const chunk = Buffer.from(`${JSON.stringify(result)}\n`)
      count.lines++
      count.notRun += Number(result.response === null)
      count.bytes += chunk.length
      yield chunk
    }
  }
  await queue.write(fileId, chunks())
  if (count.lines === 0) {
    await queue.erase(fileId)
    return { id: null, ...count }
  }
  const created_at = unixTime()
  const { outputSeconds, owner } = record
  const expires_at = outputSeconds === null ? null : created_at + outputSeconds
  const filename = `${id}_${failed ? 'error' : 'output'}.jsonl`
  await queue.files.put(fileId, {
    owner,
    lines: 0,
    file: {
      ...{ id: fileId, object: 'file', bytes: count.bytes, created_at, expires_at, filename },
      ...{ purpose: 'batch_output', status: 'processed' }
    }
  })
  return { id: fileId, ...count }
}
