import fastifyRateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'
import type { Access } from './access.js'
import { networkOf } from './network-of.js'

/** @throws {RequestError} when a client has asked too often */
export type CountRequest = (request: FastifyRequest) => Promise<void>

/** Counts requests a minute, by key, and by address where a request has no known key. 0 is no limit. */
export async function limitRate(
  app: FastifyInstance,
  perMinute: number,
  access: Access
): Promise<CountRequest> {
  if (perMinute === 0) return async () => {}
  await app.register(fastifyRateLimit, { global: false })
  const count = app.createRateLimit({
    max: perMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => {
      const name = access.keyName(request)
      return name === undefined ? `address ${networkOf(request.ip)}` : `key ${name}`
    }
  })
  return async (request) => {
    const counted = await count(request)
    if (counted.isAllowed || !counted.isExceeded) return
    const message = `Expected at most ${perMinute} requests a minute, got more.`
    throw new RequestError('rate_limited', message, { retryAfterMs: counted.ttl })
  }
}
