/** Keys of clients: a name, roles, and the hash of a secret that only the client has. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** What a key may do: write texts, read the metrics, everything. */
export const roles = ['text', 'metrics', 'admin'] as const
export type Role = (typeof roles)[number]

export interface ApiKey {
  readonly name: string
  readonly roles: ReadonlySet<Role>
  /** Its share of the device while others wait, too. */
  readonly weight: number
  readonly hash: Buffer
}

/** How a key is written down. */
export const KEY_LINE = 'name:role+role:sha256 or name:role+role:sha256:weight (roles: text, metrics, admin)'

/** The key of such a line; undefined where it is none. */
export function parseKey(line: string): ApiKey | undefined {
  const [, name, roleNames, hash, weight = '1'] =
    /^([\w.-]{1,64}):([a-z+]+):([0-9a-f]{64})(?::([1-9]\d{0,3}))?$/.exec(line) ?? []
  if (name === undefined) return undefined
  const names = roleNames!.split('+')
  if (!names.every((role): role is Role => roles.some((known) => known === role))) return undefined
  return { name, roles: new Set(names), weight: Number(weight), hash: Buffer.from(hash!, 'hex') }
}

/**
 * A new secret and the line that lets it in. The secret is drawn at random and as long as its hash, so that a plain
 * hash needs no salt and no stretching: there is nothing to guess.
 */
export function newKey(name: string, role: Role): { secret: string; line: string } {
  const secret = `fs-${randomBytes(32).toString('base64url')}`
  return { secret, line: `${name}:${role}:${hashOf(secret).toString('hex')}` }
}

/** The keys in force. They can be replaced while the server runs. */
export class ApiKeys {
  #keys: readonly ApiKey[]

  constructor(keys: readonly ApiKey[]) {
    this.#keys = keys
  }

  replace(keys: readonly ApiKey[]): void {
    this.#keys = keys
  }

  /** The key of this secret. Takes as long whichever it is, and whether it is one. */
  find(secret: string): ApiKey | undefined {
    const hash = hashOf(secret)
    let found: ApiKey | undefined
    for (const key of this.#keys) if (timingSafeEqual(key.hash, hash)) found = key
    return found
  }
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
