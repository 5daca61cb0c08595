import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ApiKeys } from '../api-keys.js'
import type { Engine } from '../engine.js'
import { Access } from './access.js'
import { OriginPolicy } from './origin-policy.js'
import { limitRate } from './request-rate.js'
import { WorkLimit, type WorkLimits } from './work-limit.js'

export interface GateOptions extends WorkLimits {
  /** Undefined where everybody may do everything. */
  readonly keys?: ApiKeys | undefined
  /** Origins, beside its own, whose pages may use the server. */
  readonly allowOrigin: readonly string[]
  /** Whether only this machine reaches the server. */
  readonly local: boolean
  /** Of one key or address; 0 is no limit. */
  readonly maxRequestsPerMinute: number
}

export interface Gate {
  readonly access: Access
  readonly work: WorkLimit
  /**
   * What each request for texts passes, and each message of a WebSocket that starts one.
   * @throws {RequestError}
   */
  enter(request: FastifyRequest): Promise<void>
  /**
   * What every request passes: pages that made their name point here are held off where nothing else does it.
   * @throws {RequestError}
   */
  checkHost(request: FastifyRequest): void
  /**
   * What requests for numbers pass before their key is judged.
   * @throws {RequestError}
   */
  countGuess(request: FastifyRequest): Promise<void>
}

export async function buildGate(app: FastifyInstance, options: GateOptions, engine: Engine): Promise<Gate> {
  const access = new Access(options.keys)
  const origins = new OriginPolicy(options.allowOrigin, options.local)
  const countRequest = await limitRate(app, options.maxRequestsPerMinute, access)
  return {
    access,
    work: new WorkLimit(options, access, engine),
    async enter(request) {
      origins.check(request)
      await countRequest(request) // before the key is judged: guesses count
      access.demand(request, 'text')
    },
    checkHost(request) {
      if (options.local && !options.keys) origins.checkHost(request)
    },
    async countGuess(request) {
      if (access.isGuess(request)) await countRequest(request)
    }
  }
}
