import { RequestError } from '../errors.js'
import type { BatchHttpOptions } from './batch-api.js'

/**
 * @param bytes that are still to come
 * @throws {RequestError} when all files and batches together would take more than they may
 */
export async function checkRoom(
  { queue, limits }: Pick<BatchHttpOptions, 'queue' | 'limits'>,
  bytes: number,
  param: string
): Promise<void> {
  const kept = await queue.size()
  if (kept + bytes <= limits.maxDataBytes) return
  const message = `${param}: expected all files and batches together to take at most ${limits.maxDataBytes} bytes, got ${kept + bytes}; delete some`
  throw new RequestError('storage_full', message, { param })
}
