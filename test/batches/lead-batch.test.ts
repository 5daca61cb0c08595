import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { leadBatch } from '../../src/batches/lead-batch.js'
import { checkLine } from '../../src/http/batch-lines.js'
import { all } from '../helper.js'
import { line } from './batch-server.js'
import { queueOfLines } from './queue-of-lines.js'

const { signal: never } = new AbortController()

async function queueOf(t: Test, count: number) {
  const { queue, id } = await queueOfLines(t, count)
  return { queue, id, options: { queue, check: checkLine, maxLineBytes: 1000, signal: never } }
}

t.test('a queue that fails while lines wait for a place ends the lead, for now', async (t) => {
  const { queue, id, options } = await queueOf(t, 300)
  const get = queue.batches.get.bind(queue.batches)
  let asked = 0
  queue.batches.get = async (id) => {
    if (asked++ > 0) throw new Error('out of reach')
    return get(id)
  }
  await t.rejects(leadBatch(id, options))
  queue.batches.get = get
  t.match(await queue.batches.get(id), { batch: { status: 'in_progress' } })
})

t.test(
  'lines that were not run are settled before the output is written: later results change nothing',
  async (t) => {
    const { queue, id, options } = await queueOf(t, 3)
    await queue.batches.change(id, (now) => ({ ...now, batch: { ...now.batch, status: 'cancelling' } }))
    const late = await (async () => {
      await queue.add(
        { batchId: id, line: 1, seed: 1, request: JSON.parse(line('0', { prompt: ' red' })) },
        never
      )
      return queue.take(never)
    })()
    await leadBatch(id, options)
    await late!.settle({ id: 'late', custom_id: '0', response: null, error: null })
    t.match(await queue.result(id, 1), { error: { code: 'batch_cancelled' } })
    const [file] = await all(queue.files.list())
    t.match(file, { file: { id: /-error$/ } })
  }
)

t.test('who leads a batch that another has ended meanwhile writes nothing', async (t) => {
  const { queue, id, options } = await queueOf(t, 1)
  const result = queue.result.bind(queue)
  await queue.settle(id, 1, { id: 'r', custom_id: '0', response: null, error: null })
  queue.result = async () => undefined
  await t.rejects(leadBatch(id, options), /expected a result of each line/)
  t.same(await all(queue.files.list()), [])
  queue.result = result
})

t.test('everything else has its turn while lines are read, settled and written', async (t) => {
  const { queue, id, options } = await queueOf(t, 2000)
  await queue.batches.change(id, (now) => ({ ...now, batch: { ...now.batch, status: 'cancelling' } }))
  let settled = 0
  let most = 0
  const settle = queue.settle.bind(queue)
  queue.settle = (...given) => {
    most = Math.max(most, ++settled)
    return settle(...given)
  }
  let leading = true
  const turns = (async () => {
    for (; leading; settled = 0) await setImmediate()
  })()
  await leadBatch(id, options)
  leading = false
  await turns
  t.ok(most <= 64, `${most} lines in one turn`)
})
