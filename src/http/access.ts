import type { FastifyRequest } from 'fastify'
import type { ApiKey, ApiKeys, Role } from '../api-keys.js'
import { RequestError } from '../errors.js'

/** Browsers cannot set headers of a WebSocket; a subprotocol is what they can send. */
const KEY_PROTOCOL = 'fewstep.key.'

/** Who asks, and what they may. Asked anew for every message of a WebSocket: keys come and go while it is open. */
export class Access {
  readonly #keys: ApiKeys | undefined

  /** @param keys undefined where everybody may do everything */
  constructor(keys: ApiKeys | undefined) {
    this.#keys = keys
  }

  may(request: FastifyRequest, role: Role): boolean {
    if (this.#keys === undefined) return true
    const key = this.keyOf(request)
    return key !== undefined && (key.roles.has(role) || key.roles.has('admin'))
  }

  /** @throws {RequestError} */
  demand(request: FastifyRequest, role: Role): void {
    if (this.may(request, role)) return
    const key = this.keyOf(request)
    if (key) throw new RequestError('forbidden', `Expected a key with the role ${role}, got ${key.name}.`)
    const got = secretOf(request) === undefined ? 'none' : 'an unknown one'
    throw new RequestError('unauthenticated', `authorization: expected "Bearer" and a key, got ${got}`)
  }

  /** Whether a secret came that is no key's. */
  isGuess(request: FastifyRequest): boolean {
    return this.#keys !== undefined && secretOf(request) !== undefined && !this.keyOf(request)
  }

  /** The name of the key; undefined where there is none. */
  keyName(request: FastifyRequest): string | undefined {
    return this.keyOf(request)?.name
  }

  /** Whose files and batches the request is told of; undefined where it is of everybody's. */
  owner(request: FastifyRequest): string | null | undefined {
    return this.may(request, 'admin') ? undefined : (this.keyName(request) ?? null)
  }

  /** Undefined where there is none. */
  keyOf(request: FastifyRequest): ApiKey | undefined {
    const secret = secretOf(request)
    return secret === undefined ? undefined : this.#keys?.find(secret)
  }
}

function secretOf({ headers }: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  return (
    bearer ??
    protocolsOf(headers)
      .find((name) => name.startsWith(KEY_PROTOCOL))
      ?.slice(KEY_PROTOCOL.length)
  )
}

function protocolsOf(headers: FastifyRequest['headers']): string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
}
