import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { newFileId } from '../../src/batches/batch-id.js'
import { SqliteQueue } from '../../src/batches/sqlite-queue.js'
import { batchRecord, fileRecord, queuedLine, resultOf, testQueue } from './queue-contract.js'

const { signal: never } = new AbortController()

testQueue(t, async (t: Test) => {
  const queue = await SqliteQueue.open(t.testdir())
  t.teardown(() => queue.close())
  return queue
})

t.test('what was stored is there again, and batches that had not ended are led again', async (t) => {
  const folder = t.testdir()
  const first = await SqliteQueue.open(folder)
  const [running, over] = [batchRecord(), batchRecord(undefined, { status: 'completed' })]
  for (const record of [running, over]) await first.batches.put(record.batch.id, record)
  await first.settle(running.batch.id, 1, resultOf(1))
  const fileId = newFileId()
  await first.files.put(fileId, fileRecord(fileId))
  await first.write(fileId, Readable.from([Buffer.from('kept')]))
  await first.write(newFileId(), Readable.from([Buffer.from('never put')]))
  writeFileSync(join(folder, 'files', 'file-cut.part'), 'half')
  await first.close()

  const second = await SqliteQueue.open(folder)
  t.teardown(() => second.close())
  t.same(readdirSync(join(folder, 'files')), [fileId])
  t.same(await second.result(running.batch.id, 1), resultOf(1))
  t.equal((await second.lead(never))!.batchId, running.batch.id)
  const controller = new AbortController()
  const next = second.lead(controller.signal)
  controller.abort()
  t.equal(await next, undefined)
})

t.test('a result that comes after the end of its batch is not kept', async (t) => {
  const queue = await SqliteQueue.open(t.testdir())
  t.teardown(() => queue.close())
  const record = batchRecord(undefined, { status: 'cancelled' })
  await queue.batches.put(record.batch.id, record)
  await queue.settle(record.batch.id, 1, resultOf(1))
  t.equal(await queue.result(record.batch.id, 1), undefined)
})

t.test('who adds lines waits while many wait', async (t) => {
  const queue = await SqliteQueue.open(t.testdir())
  t.teardown(() => queue.close())
  let added = 0
  const controller = new AbortController()
  const adding = (async () => {
    for (let line = 1; line <= 1000; line++) {
      await queue.add(queuedLine('batch_1', line), controller.signal)
      added = line
    }
  })()
  for (let turn = 0; turn < 1000; turn++) await new Promise(setImmediate)
  t.equal(added, 256)
  await queue.take(never)
  await queue.take(never)
  await new Promise(setImmediate)
  t.equal(added, 258)
  controller.abort()
  await t.rejects(adding, { name: 'AbortError' })
})

t.test('a folder that cannot be used, or is used, is refused in a line', async (t) => {
  const folder = t.testdir({ file: '' })
  const queue = await SqliteQueue.open(folder)
  t.teardown(() => queue.close())
  await t.rejects(SqliteQueue.open(folder), { name: 'ConfigError', message: /that another server uses/ })
  await t.rejects(SqliteQueue.open(join(folder, 'file')), {
    name: 'ConfigError',
    message: /--data: expected a folder/
  })
})

t.test('results by the thousand are counted, also by the next process, and forgotten', async (t) => {
  const folder = t.testdir()
  const first = await SqliteQueue.open(folder)
  const record = batchRecord()
  const { id } = record.batch
  await first.batches.put(id, record)
  const failure = { code: 'c', message: 'm', param: null, line: 1 }
  for (let line = 1; line <= 1200; line++) {
    await first.settle(id, line, resultOf(line, line % 3 === 0 ? { error: failure } : {}))
    await first.settle(id, line, resultOf(line))
  }
  t.same(await first.counts(id), { completed: 800, failed: 400 })
  await first.close()

  const second = await SqliteQueue.open(folder)
  t.teardown(() => second.close())
  await second.settle(id, 1201, resultOf(1201))
  t.same(await second.counts(id), { completed: 801, failed: 400 })
  await (await second.lead(never))!.end()
  t.same(await second.counts(id), { completed: 0, failed: 0 })
  t.equal(await second.result(id, 1201), undefined)
})
