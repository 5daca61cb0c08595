import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { BatchWork } from '../../src/batches/batch-work.js'
import { checkLine } from '../../src/http/batch-lines.js'
import { until } from '../helper.js'
import { queueOfLines } from './queue-of-lines.js'

const LINES = 40

/** The queue of a batch of so many lines that is to be led. */
async function queueOf(t: Test, count: number) {
  const { queue, id } = await queueOfLines(t, count)
  await queue.begin(id)
  return { queue, id }
}

t.test('everything else has its turn between two lines', async (t) => {
  const { queue } = await queueOf(t, 200)
  let done = 0
  queue.onResult = () => done++
  let [begun, most] = [0, 0]
  const work = new BatchWork({
    queue,
    check: checkLine,
    answer: async () => {
      most = Math.max(most, ++begun)
      return {}
    },
    maxLineBytes: 1000,
    log: () => {}
  })
  work.start()
  for (; done < 200; begun = 0) await setImmediate()
  await work.stop()
  t.ok(most <= 2, `${most} lines in one turn`)
})

t.test(
  'results wait while their disk is full, each line is run once, and the log says so once',
  async (t) => {
    const { queue, id } = await queueOf(t, LINES)
    const settle = queue.settle.bind(queue)
    let refused = 0
    queue.settle = async (...given) => {
      if (refused < 2 * LINES && ++refused) throw new Error('database or disk is full')
      return settle(...given)
    }
    let answers = 0
    let done = 0
    queue.onResult = () => done++
    const log: string[] = []
    const work = new BatchWork({
      queue,
      check: checkLine,
      answer: async () => ({ text: `${answers++}` }),
      maxLineBytes: 1000,
      log: (_level, message) => log.push(message)
    })
    work.start()
    await until(() => done === LINES)
    await work.stop()
    t.equal(answers, LINES)
    t.same(await queue.counts(id), { completed: LINES, failed: 0 })
    t.same(log, ['batches: database or disk is full; tried again every 1000 ms'])
  }
)
