import { randomInt } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { BatchList, BatchObject } from '../answers.js'
import { AT_ONCE, ahead } from '../batches/ahead.js'
import { isBatchId, isFileId, newBatchId } from '../batches/batch-id.js'
import { cancelling, hasEnded, isOver, MAX_WINDOW_DAYS, windowSeconds } from '../batches/batch-life.js'
import { type BatchRecord, isOf } from '../batches/batch-queue.js'
import { RequestError } from '../errors.js'
import { BatchRequest, ref } from '../schemas.js'
import { answers } from './answer-schemas.js'
import type { BatchHttpOptions } from './batch-api.js'
import { checkRoom } from './data-room.js'
import { unixTime } from './generation-answer.js'
import { pageOf, pageQuery } from './page.js'

const tags = ['Batches']
const params = Type.Object({ id: Type.String() })

export const batchRoutes: FastifyPluginAsyncTypebox<BatchHttpOptions> = async (
  app,
  { queue, gate, limits }
) => {
  /** @throws {RequestError} when there is none that the key may see */
  async function find(id: string, owner: string | null | undefined): Promise<BatchRecord> {
    const record = isBatchId(id) ? await queue.batches.get(id) : undefined
    if (record && isOf(record, owner)) return record
    throw new RequestError('batch_not_found', `batch: expected the id of a batch, got "${id}"`)
  }

  /** As it is told, with how far it has come. */
  async function tell({ batch }: BatchRecord): Promise<BatchObject> {
    if (hasEnded(batch)) return batch
    const { total } = batch.request_counts
    return { ...batch, request_counts: { total, ...(await queue.counts(batch.id)) } }
  }

  /** @returns its lines */
  async function checkInput(fileId: string, owner: string | null | undefined): Promise<number> {
    const record = isFileId(fileId) ? await queue.files.get(fileId) : undefined
    const param = 'input_file_id'
    if (!record || !isOf(record, owner) || isOver(record.file)) {
      const message = `input_file_id: expected the id of a file, got "${fileId}"`
      throw new RequestError('file_not_found', message, { param })
    }
    const refuse = (expected: string, got: string) =>
      new RequestError('invalid_request', `input_file_id: expected ${expected}, got ${got}`, { param })
    const { purpose } = record.file
    if (purpose !== 'batch') throw refuse('a file with the purpose batch', purpose)
    const most = limits.maxBatchLines
    if (record.lines < 1 || record.lines > most) {
      throw refuse(`a file of 1 to ${most} lines`, `${record.lines}`)
    }
    await checkRoom({ queue, limits }, record.file.bytes, param)
    return record.lines
  }

  app.post(
    '/v1/batches',
    { schema: { tags, summary: 'Start a batch', body: ref(BatchRequest), response: answers(BatchObject) } },
    async (request): Promise<BatchObject> => {
      const { endpoint, input_file_id, completion_window, metadata, output_expires_after } = request.body
      const seconds = checkWindow(completion_window)
      const total = await checkInput(input_file_id, gate.access.owner(request))
      const now = unixTime()
      const id = newBatchId()
      const batch: BatchObject = {
        ...{ id, object: 'batch', endpoint, errors: null, input_file_id, completion_window },
        ...{ status: 'in_progress', output_file_id: null, error_file_id: null },
        ...{ created_at: now, in_progress_at: now, expires_at: now + seconds },
        ...{ finalizing_at: null, completed_at: null, failed_at: null, expired_at: null },
        ...{ cancelling_at: null, cancelled_at: null },
        request_counts: { total, completed: 0, failed: 0 },
        metadata: metadata ?? null
      }
      const seed = randomInt(2 ** 48 - 1)
      await queue.batches.put(id, {
        owner: gate.access.keyName(request) ?? null,
        batch,
        seed,
        outputSeconds: output_expires_after?.seconds ?? null
      })
      await queue.begin(id)
      return batch
    }
  )

  app.get(
    '/v1/batches',
    {
      schema: {
        tags,
        summary: 'List batches',
        querystring: pageQuery('^([1-9][0-9]?|100)$', {}),
        response: answers(BatchList)
      }
    },
    async (request) => {
      const owner = gate.access.owner(request)
      const { limit = 20 } = request.query
      const told = ahead(queue.batches.list({ owner }, request.query), AT_ONCE, tell)
      return pageOf(told, Number(limit))
    }
  )

  app.get(
    '/v1/batches/:id',
    { schema: { tags, summary: 'Tell how far a batch is', params, response: answers(BatchObject) } },
    async (request) => tell(await find(request.params.id, gate.access.owner(request)))
  )

  app.post(
    '/v1/batches/:id/cancel',
    {
      schema: {
        tags,
        summary: 'Cancel a batch',
        description: 'What is done is kept; each line that is not fails with `batch_cancelled`.',
        params,
        response: answers(BatchObject)
      }
    },
    async (request) => {
      const { id } = request.params
      await find(id, gate.access.owner(request))
      const record = await queue.batches.change(id, (now) => ({ ...now, batch: cancelled(now.batch) }))
      return tell(record)
    }
  )
}

/** @returns its seconds */
function checkWindow(window: string): number {
  const seconds = windowSeconds(window)
  if (seconds <= windowSeconds(`${MAX_WINDOW_DAYS}d`)) return seconds
  const message = `completion_window: expected at most ${MAX_WINDOW_DAYS}d, got "${window}"`
  throw new RequestError('invalid_request', message, { param: 'completion_window' })
}

/** @throws {RequestError} when it is too late */
function cancelled(batch: BatchObject): BatchObject {
  if (batch.status === 'cancelling') return batch
  if (batch.status === 'in_progress') return cancelling(batch, unixTime())
  throw new RequestError('batch_ended', `batch: expected one in progress, got one that is ${batch.status}`)
}
