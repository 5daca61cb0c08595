import { Counter, Gauge, type Registry } from 'prom-client'
import { hasEnded } from './batch-life.js'
import type { BatchQueue } from './batch-queue.js'
import type { BatchWorkOptions } from './batch-work.js'

/** What is counted of offline batches. Returns what to call for each line that was run here. */
export function batchMetrics(registry: Registry, queue: BatchQueue): BatchWorkOptions['onLine'] {
  const { kind } = queue
  const registers = [registry]
  const lines = new Counter({
    name: 'fewstep_batch_lines_total',
    help: 'Lines of offline batches that this server ran.',
    labelNames: ['queue', 'outcome'],
    registers
  })
  new Gauge({
    name: 'fewstep_batch_lines_waiting',
    help: 'Lines of offline batches, of all servers of the queue, that have no result.',
    labelNames: ['queue'],
    registers,
    async collect() {
      this.reset()
      if (!queue.trouble) this.set({ queue: kind }, await waitingLines(queue))
    }
  })
  return (outcome) => lines.inc({ queue: kind, outcome })
}

async function waitingLines(queue: BatchQueue): Promise<number> {
  const running = (await queue.batches.list()).filter(({ batch }) => !hasEnded(batch))
  const waiting = running.map(async ({ batch }) => {
    const { completed, failed } = await queue.counts(batch.id)
    return batch.request_counts.total - completed - failed
  })
  return (await Promise.all(waiting)).reduce((sum, count) => sum + count, 0)
}
