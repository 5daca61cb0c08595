import { setTimeout } from 'node:timers/promises'
import { Counter, Gauge, type Registry } from 'prom-client'
import { AT_ONCE, ahead } from './ahead.js'
import type { BatchQueue } from './batch-queue.js'

/** Who asks for the metrics waits no longer for a queue that is far away, or hangs. */
const PATIENCE_MS = 1000

/** Counts what is done of offline batches. */
export function countBatches(registry: Registry, queue: BatchQueue): void {
  const { kind } = queue
  const registers = [registry]
  const lines = new Counter({
    name: 'fewstep_batch_lines_total',
    help: 'Lines of offline batches whose result this server stored.',
    labelNames: ['queue', 'outcome', 'code'],
    registers
  })
  queue.onResult = ({ error }) =>
    lines.inc({ queue: kind, outcome: error ? 'failed' : 'completed', code: error?.code ?? '' })
  lines.inc({ queue: kind, outcome: 'completed', code: '' }, 0)
  let asked: Promise<number | undefined> | undefined
  new Gauge({
    name: 'fewstep_batch_lines_waiting',
    help: 'Lines of offline batches, of all servers of the queue, that have no result.',
    labelNames: ['queue'],
    registers,
    async collect() {
      this.reset()
      asked ??= waitingLines(queue)
        .catch(() => undefined) // it cannot be reached: that is no reason to tell nothing of all else
        .finally(() => {
          asked = undefined
        })
      const waiting = await Promise.race([asked, setTimeout(PATIENCE_MS, undefined, { ref: false })])
      if (waiting !== undefined) this.set({ queue: kind }, waiting)
    }
  })
}

async function waitingLines(queue: BatchQueue): Promise<number> {
  const waiting = ahead(queue.batches.list({ ended: false }), AT_ONCE, async ({ batch }) => {
    const { completed, failed } = await queue.counts(batch.id)
    return batch.request_counts.total - completed - failed
  })
  let sum = 0
  for await (const count of waiting) sum += count
  return sum
}
