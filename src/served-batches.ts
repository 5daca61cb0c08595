/** From settings to offline batches that are worked on. */
import { countBatches } from './batches/batch-metrics.js'
import type { BatchQueue } from './batches/batch-queue.js'
import { BatchWork, type BatchWorkOptions } from './batches/batch-work.js'
import { NatsQueue } from './batches/nats-queue.js'
import { SqliteQueue } from './batches/sqlite-queue.js'
import type { Config } from './config.js'
import { readSecret } from './credentials.js'
import { answerLine, checkLine } from './http/batch-lines.js'
import type { HttpOptions } from './http/http-options.js'
import { ConfigError } from './setting.js'

/**
 * The queue that the settings ask for; undefined where offline batches are off.
 * @throws {ConfigError}
 */
export async function openBatchQueue(config: Config): Promise<BatchQueue | undefined> {
  const { data, nats, natsCredentials, natsReplicas } = config
  if (nats.length === 0) return data === null ? undefined : SqliteQueue.open(data)
  if (data !== null) throw new ConfigError('--nats: expected no --data beside it, got both')
  const credentials =
    natsCredentials === null ? undefined : await readSecret('--nats-credentials', natsCredentials)
  return NatsQueue.open({ servers: nats, credentials, replicas: natsReplicas })
}

export interface BatchServing extends Pick<HttpOptions, 'engine' | 'metrics'> {
  readonly maxLineBytes: number
  readonly log: BatchWorkOptions['log']
}

/** Takes up what waits in the queue. Call when models serve. */
export function serveBatches(
  queue: BatchQueue,
  { engine, metrics, maxLineBytes, log }: BatchServing
): BatchWork {
  countBatches(metrics.registry, queue)
  const work = new BatchWork({
    queue,
    check: checkLine,
    answer: (line, signal) => answerLine(line, engine, signal),
    maxLineBytes,
    log
  })
  work.start()
  return work
}
