/** Offline batches: files of requests, and what is done with them. */
import type { FastifyPluginAsync } from 'fastify'
import type { BatchQueue } from '../batches/batch-queue.js'
import { RequestError } from '../errors.js'
import { batchRoutes } from './batches.js'
import { fileRoutes } from './files.js'
import type { HttpOptions } from './http-options.js'

export interface BatchHttpOptions extends HttpOptions {
  readonly queue: BatchQueue
}

export const batchApi: FastifyPluginAsync<HttpOptions> = async (app, options) => {
  const queue = options.batches
  app.addHook('onRequest', async () => {
    if (!queue) {
      const message =
        'Offline batches are off: start the server with --data and a folder to keep them in, or with --nats.'
      throw new RequestError('batches_off', message)
    }
    if (queue.trouble) throw new RequestError('batches_unavailable', `Offline batches: ${queue.trouble}.`)
  })
  const given = { ...options, queue: queue! } // nobody gets by the hook without one
  await app.register(fileRoutes, given)
  await app.register(batchRoutes, given)
}
