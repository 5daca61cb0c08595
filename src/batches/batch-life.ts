/** The states of a batch and how it passes from one to the next. All is pure; times are Unix seconds. */
import type { BatchObject, FileObject } from '../answers.js'
import type { LineCounts } from './batch-queue.js'

export const endStates: readonly BatchObject['status'][] = ['completed', 'cancelled', 'expired']

export function hasEnded({ status }: Pick<BatchObject, 'status'>): boolean {
  return endStates.includes(status)
}

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 }

/** The longest window: batches that have not ended are kept. */
export const MAX_WINDOW_DAYS = 30

/** Seconds of a window such as 24h. */
export function windowSeconds(window: string): number {
  return Number(window.slice(0, -1)) * unitSeconds[window.at(-1) as keyof typeof unitSeconds]
}

export function cancelling(batch: BatchObject, now: number): BatchObject {
  return { ...batch, status: 'cancelling', cancelling_at: now }
}

export function finalizing(batch: BatchObject, now: number): BatchObject {
  if (batch.status !== 'in_progress') return batch
  return { ...batch, status: 'finalizing', finalizing_at: now }
}

/** Nobody is given the file any more. */
export function isOver({ expires_at }: FileObject): boolean {
  return expires_at !== null && unixTime() >= expires_at
}

/** Seconds that a batch is known after it could have ended at the latest: 30 days. */
export const KEPT_SECONDS = 30 * 86_400

/** Nobody is told of the batch any more. */
export function isForgotten(batch: BatchObject): boolean {
  return hasEnded(batch) && unixTime() >= batch.expires_at + KEPT_SECONDS
}

/** Why lines that were not run have no answer; null while they may still get one. */
export function cutShort(batch: BatchObject, now: number): 'cancelled' | 'expired' | null {
  if (batch.status === 'cancelling') return 'cancelled'
  return now >= batch.expires_at ? 'expired' : null
}

export interface BatchOutput {
  readonly output_file_id: string | null
  readonly error_file_id: string | null
  readonly request_counts: LineCounts & { readonly total: number }
}

export function endedAs(
  batch: BatchObject,
  status: 'completed' | 'cancelled' | 'expired',
  output: BatchOutput,
  now: number
): BatchObject {
  return { ...batch, ...output, status, [`${status}_at`]: now }
}

export function unixTime(): number {
  return Math.floor(Date.now() / 1000)
}
