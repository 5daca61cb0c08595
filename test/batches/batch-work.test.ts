import { Readable } from 'node:stream'
import t from 'tap'
import { BatchWork } from '../../src/batches/batch-work.js'
import { SqliteQueue } from '../../src/batches/sqlite-queue.js'
import { checkLine } from '../../src/http/batch-lines.js'
import { until } from '../helper.js'
import { line } from './batch-server.js'
import { batchRecord } from './queue-contract.js'

const LINES = 40

t.test(
  'results wait while their disk is full, each line is run once, and the log says so once',
  async (t) => {
    const queue = await SqliteQueue.open(t.testdir())
    t.teardown(() => queue.close())
    const record = batchRecord(undefined, { request_counts: { total: LINES, completed: 0, failed: 0 } })
    const { id, input_file_id } = record.batch
    const lines = Array.from({ length: LINES }, (_, i) => line(`${i}`, { prompt: ' red' }))
    await queue.write(input_file_id, Readable.from([Buffer.from(lines.join('\n'))]))
    await queue.batches.put(id, record)
    await queue.begin(id)

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
