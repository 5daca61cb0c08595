/** What every queue does. Each engine's tests run it over one of their own. */
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { BatchObject, BatchResult, FileObject } from '../../src/answers.js'
import { newBatchId, newFileId } from '../../src/batches/batch-id.js'
import {
  type BatchQueue,
  type BatchRecord,
  type FileRecord,
  type From,
  type Part,
  type QueuedLine,
  RECORD_BYTES
} from '../../src/batches/batch-queue.js'
import { all } from '../helper.js'

const { signal: never } = new AbortController()

export function batchRecord(id = newBatchId(), changes: Partial<BatchObject> = {}): BatchRecord {
  const batch: BatchObject = {
    ...{ id, object: 'batch', endpoint: '/v1/completions', errors: null, input_file_id: newFileId() },
    ...{ completion_window: '1h', status: 'in_progress', output_file_id: null, error_file_id: null },
    ...{ created_at: 1, in_progress_at: 1, expires_at: 2 ** 40, finalizing_at: null, completed_at: null },
    ...{ failed_at: null, expired_at: null, cancelling_at: null, cancelled_at: null },
    ...{ request_counts: { total: 2, completed: 0, failed: 0 }, metadata: null },
    ...changes
  }
  return { owner: null, batch, seed: 1, outputSeconds: null }
}

export function fileRecord(id = newFileId(), changes: Partial<FileObject> = {}): FileRecord {
  const about = { bytes: 1, created_at: 1, expires_at: null, filename: 'a', purpose: 'batch' as const }
  return { owner: null, lines: 1, file: { id, object: 'file', status: 'processed', ...about, ...changes } }
}

export function queuedLine(batchId: string, line: number): QueuedLine {
  const request = { custom_id: `${line}`, method: 'POST' as const, url: '/v1/completions' as const, body: {} }
  return { batchId, line, seed: line, request }
}

export function resultOf(line: number, changes: Partial<BatchResult> = {}): BatchResult {
  const response = { status_code: 200, request_id: 'r', body: { line } }
  return { id: `r${line}`, custom_id: `${line}`, response, error: null, ...changes }
}

const failure = { response: null, error: { code: 'c', message: 'm', param: null, line: 1 } }

/** @param open the queue of one server; all that are open at once see the same, where there may be many */
export async function testQueue(t: Test, open: (t: Test) => Promise<BatchQueue>): Promise<void> {
  await t.test(
    'records are put, changed one after the other, listed with the newest first, deleted',
    async (t) => {
      const { files, batches } = await open(t)
      const ids = [newFileId(), newFileId()].sort()
      for (const id of ids) await files.put(id, fileRecord(id))
      t.same(await files.get(ids[0]!), fileRecord(ids[0]))
      t.equal(await files.get('file-none'), undefined)
      const listed = (await all(files.list())).map(({ file }) => file.id).filter((id) => ids.includes(id))
      t.same(listed, [...ids].reverse())
      await files.delete(ids[0]!)
      t.equal(await files.get(ids[0]!), undefined)
      const record = batchRecord()
      await batches.put(record.batch.id, record)
      const addOne = (now: BatchRecord) => ({ ...now, seed: now.seed + 1 })
      await Promise.all(Array.from({ length: 5 }, () => batches.change(record.batch.id, addOne)))
      t.equal((await batches.get(record.batch.id))!.seed, 6)
      await t.rejects(batches.change('batch_none', addOne))
    }
  )

  await t.test('records are listed by owner and by what they are for, from any of them on', async (t) => {
    const { files, batches } = await open(t)
    const ids = Array.from({ length: 100 }, newBatchId).sort()
    const ofOwner = (owner: string) => ids.filter((_, i) => (i % 2 === 0 ? 'ann' : 'bob') === owner)
    const input_file_id = newFileId()
    const [past, future] = [1, 2 ** 40]
    for (const [i, id] of ids.entries()) {
      const status = i < 10 ? 'in_progress' : 'completed'
      const expires_at = i % 10 === 0 ? past : future
      const record = batchRecord(id, { status, expires_at, ...(i % 10 === 5 && { input_file_id }) })
      await batches.put(id, { ...record, owner: i % 2 === 0 ? 'ann' : 'bob' })
    }
    const list = async (part?: Part, from?: From) =>
      (await all(batches.list(part, from))).map(({ batch }) => batch.id)
    t.same(await list(), [...ids].reverse())
    t.same(await list({ owner: 'ann' }, { order: 'asc' }), ofOwner('ann'))
    t.same(await list({ owner: 'bob' }, { after: ids[51]! }), ofOwner('bob').slice(0, 25).reverse())
    t.same(await list({ owner: 'ann' }, { after: ids[50]!, order: 'asc' }), ofOwner('ann').slice(26))
    t.same(await list({ owner: null }), [])
    t.same(await list({ ended: false }, { order: 'asc' }), ids.slice(0, 10))
    t.same(await list({ reads: input_file_id }), [ids[5]])
    const long = ids.filter((_, i) => i >= 10 && i % 10 === 0)
    t.same(await list({ over: true }, { order: 'asc' }), long)
    await batches.change(ids[5]!, (now) => ({ ...now, batch: { ...now.batch, status: 'cancelled' } }))
    t.same(await list({ reads: input_file_id }), [])

    const [kept, gone] = [fileRecord(), fileRecord(undefined, { expires_at: past })]
    for (const record of [kept, gone]) await files.put(record.file.id, record)
    t.same(await all(files.list({ over: true })), [gone])
    t.equal((await all(files.list({ owner: null }))).length, 2)
  })

  await t.test('what is kept has a size, and each record counts', async (t) => {
    const queue = await open(t)
    const empty = await queue.size()
    const grown = async () => (await queue.size()) - empty
    const bytes = 200_000
    const id = newFileId()
    await queue.write(id, Readable.from([Buffer.alloc(bytes)]))
    await queue.files.put(id, fileRecord(id, { bytes }))
    const least = bytes + RECORD_BYTES
    t.ok((await grown()) >= least && (await grown()) < least + 2000, `${await grown()}`)
    const record = batchRecord()
    for (let times = 0; times < 2; times++) await queue.batches.put(record.batch.id, record)
    await queue.batches.change(record.batch.id, (now) => ({ ...now, owner: 'ann' }))
    t.ok((await grown()) >= least + RECORD_BYTES && (await grown()) < least + RECORD_BYTES + 4000)
    await queue.files.delete(id)
    await queue.erase(id)
    await queue.batches.delete(record.batch.id)
    t.equal(await grown(), 0)
  })

  await t.test('a file is stored whole, or not at all', async (t) => {
    const queue = await open(t)
    const id = newFileId()
    const long = 'x'.repeat(300_000)
    await queue.write(id, Readable.from([Buffer.from('a\n'), Buffer.from(long)]))
    t.equal(await text(Readable.from(queue.read(id))), `a\n${long}`)
    await queue.write(id, Readable.from([Buffer.from('again')]))
    t.equal(await text(Readable.from(queue.read(id))), 'again')
    const broken = newFileId()
    async function* cut() {
      yield Buffer.from('a')
      throw new Error('cut')
    }
    await t.rejects(queue.write(broken, cut()), { message: 'cut' })
    await t.rejects(text(Readable.from(queue.read(broken))))
    await queue.erase(id)
    await t.rejects(text(Readable.from(queue.read(id))))
    const empty = newFileId()
    await queue.write(empty, Readable.from([]))
    t.equal(await text(Readable.from(queue.read(empty))), '')
  })

  await t.test('a line that was added is taken, settled once and not added again', async (t) => {
    const queue = await open(t)
    const { batch } = batchRecord()
    await queue.batches.put(batch.id, batchRecord(batch.id))
    await queue.add(queuedLine(batch.id, 1), never)
    await queue.add(queuedLine(batch.id, 2), never)
    const taken = [await queue.take(never), await queue.take(never)].sort((a, b) => a!.line - b!.line)
    t.match(taken, [queuedLine(batch.id, 1), queuedLine(batch.id, 2)])
    t.equal(await queue.result(batch.id, 1), undefined)
    await taken[0]!.settle(resultOf(1))
    await queue.settle(batch.id, 1, resultOf(1, { custom_id: 'too late' }))
    t.same(await queue.result(batch.id, 1), resultOf(1))
    await taken[1]!.settle(resultOf(2, failure))
    t.same(await queue.counts(batch.id), { completed: 1, failed: 1 })
    await queue.add(queuedLine(batch.id, 1), never)
    await queue.add(queuedLine(batch.id, 3), never)
    t.equal((await queue.take(never))!.line, 3)
  })

  await t.test('lines that are cleared are not taken; a taker can be told to stop', async (t) => {
    const queue = await open(t)
    const [gone, stays] = [newBatchId(), newBatchId()]
    for (const id of [gone, stays]) await queue.batches.put(id, batchRecord(id))
    await queue.add(queuedLine(gone, 1), never)
    await queue.add(queuedLine(stays, 1), never)
    await queue.clear(gone)
    const taken = await queue.take(never)
    t.equal(taken!.batchId, stays)
    await taken!.settle(resultOf(1))
    const controller = new AbortController()
    const waiting = queue.take(controller.signal)
    controller.abort()
    t.equal(await waiting, undefined)
  })

  await t.test('a batch that begins is led, and its results are forgotten when it ends', async (t) => {
    const queue = await open(t)
    const record = batchRecord()
    const { id } = record.batch
    await queue.batches.put(id, record)
    await queue.begin(id)
    const lead = await queue.lead(never)
    t.equal(lead!.batchId, id)
    await queue.settle(id, 1, resultOf(1))
    await queue.batches.put(id, batchRecord(id, { status: 'completed' }))
    await lead!.end()
    t.equal(await queue.result(id, 1), undefined)
    const controller = new AbortController()
    const next = queue.lead(controller.signal)
    controller.abort()
    t.equal(await next, undefined)
  })
}
