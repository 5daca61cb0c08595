import type { FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/** Whether a host names this machine only. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host === '::1' ? '[::1]' : host)
}

function hostnameOf(host: string): string {
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : ''
}

/**
 * Which web pages may ask: those of this server, and those of the origins that are allowed. Browsers say where a page
 * comes from; they hold no WebSocket back by themselves, so the server does.
 */
export class OriginPolicy {
  readonly #allowed: readonly string[]
  readonly #local: boolean

  /** @param local whether the server listens on this machine only */
  constructor(allowed: readonly string[], local: boolean) {
    this.#allowed = allowed
    this.#local = local
  }

  /** @throws {RequestError} */
  check({ headers, host }: FastifyRequest): void {
    const { origin } = headers
    if (origin === undefined || this.#allowed.includes(origin) || this.#isOwn(origin, host)) return
    const message = `origin: expected this server's or one of --allow-origin, got ${JSON.stringify(origin)}`
    throw new RequestError('forbidden', message)
  }

  /**
   * For a server of this machine that asks for no keys. A page whose name was made to point here (DNS rebinding) needs no
   * `Origin` to read; what it cannot choose is its `Host`.
   * @throws {RequestError}
   */
  checkHost({ headers: { host } }: FastifyRequest): void {
    if (host === undefined || isLoopback(hostnameOf(host))) return // no browser leaves it out
    if (this.#allowed.some((origin) => new URL(origin).host === host)) return
    const message = `host: expected localhost or that of an --allow-origin, got ${JSON.stringify(host)}`
    throw new RequestError('forbidden', message)
  }

  /** A name that somebody else made point at this machine (DNS rebinding) is not its own. */
  #isOwn(origin: string, host: string): boolean {
    if (!URL.canParse(origin)) return false
    const url = new URL(origin)
    return url.host === host && (!this.#local || isLoopback(url.hostname))
  }
}
