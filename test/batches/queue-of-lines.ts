import { Readable } from 'node:stream'
import type { Test } from 'tap'
import { SqliteQueue } from '../../src/batches/sqlite-queue.js'
import { line } from './batch-server.js'
import { batchRecord } from './queue-contract.js'

/** A queue with a batch of so many lines that nobody leads. */
export async function queueOfLines(t: Test, count: number) {
  const queue = await SqliteQueue.open(t.testdir())
  t.teardown(() => queue.close())
  const record = batchRecord(undefined, { request_counts: { total: count, completed: 0, failed: 0 } })
  const { id, input_file_id } = record.batch
  const lines = Array.from({ length: count }, (_, i) => line(`${i}`, { prompt: ' red' }))
  await queue.write(input_file_id, Readable.from([Buffer.from(lines.join('\n'))]))
  await queue.batches.put(id, record)
  return { queue, id }
}
