import t from 'tap'
import {
  isBatchId,
  isFileId,
  lineId,
  lineSeed,
  newBatchId,
  newFileId,
  outputFileIds
} from '../../src/batches/batch-id.js'

t.test('ids sort by age, and no two are alike', async (t) => {
  const now = Date.now
  t.teardown(() => {
    Date.now = now
  })
  const ids = [0, 1, 40, 1e9, 1e12].map((ms) => {
    Date.now = () => 1_600_000_000_000 + ms
    return newBatchId()
  })
  t.same([...ids].sort(), ids)
  t.not(newFileId(), newFileId())
})

t.test('an id is known as one, and nothing else is', async (t) => {
  const [batch, file] = [newBatchId(), newFileId()]
  t.ok(isBatchId(batch))
  for (const id of [file, ...Object.values(outputFileIds(batch))]) t.ok(isFileId(id))
  for (const text of [
    '',
    '*',
    'file-*',
    `${file}*`,
    ` ${file}`,
    `${file}\n`,
    `${file}.head`,
    'file->',
    batch
  ])
    t.notOk(isFileId(text), text)
  for (const text of ['batch_*', `${batch}/..`, file]) t.notOk(isBatchId(text), text)
})

t.test('output files and lines are named after their batch', async (t) => {
  t.same(outputFileIds('batch_1'), { output: 'file-1-output', error: 'file-1-error' })
  t.equal(lineId('batch_1', 7), 'batch_req_1_7')
})

t.test('the seed of a line is its own, always the same, and one that a request may have', async (t) => {
  const seeds = Array.from({ length: 1000 }, (_, line) => lineSeed(7, line))
  t.equal(new Set(seeds).size, 1000)
  t.equal(lineSeed(7, 3), seeds[3])
  t.not(lineSeed(8, 3), seeds[3])
  t.ok(seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0 && seed < 2 ** 48))
})
