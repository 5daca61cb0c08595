import { RequestError } from '../errors.js'
import type { BatchHttpOptions } from './batch-api.js'

/**
 * For a file that comes, or for the answers of a batch: as much as it asks.
 * @throws {RequestError} when all files together would take more than they may
 */
export async function checkRoom(
  { queue, limits }: Pick<BatchHttpOptions, 'queue' | 'limits'>,
  bytes: number,
  param: string
): Promise<void> {
  const kept = (await queue.files.list()).reduce((sum, { file }) => sum + file.bytes, 0)
  if (kept + bytes <= limits.maxDataBytes) return
  const message = `${param}: expected all files together to take at most ${limits.maxDataBytes} bytes, got ${kept + bytes}; delete some`
  throw new RequestError('storage_full', message, { param })
}
