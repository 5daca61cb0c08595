import type { FastifyInstance } from 'fastify'
import { RequestError } from '../errors.js'

/** Every path and its methods, to tell an unknown path from a known one that was asked the wrong way. */
export class RouteTable {
  readonly #methods = new Map<string, Set<string>>()

  /** Notes the routes that are added from now on. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ url, method }) => {
      const methods = this.#methods.get(url) ?? new Set()
      for (const name of [method].flat()) methods.add(name)
      this.#methods.set(url, methods)
    })
  }

  /** Methods that the path takes; none where it is unknown. */
  methodsOf(path: string): string[] {
    for (const [pattern, methods] of this.#methods) if (matches(pattern, path)) return [...methods]
    return []
  }

  /** Why nothing answers to this. */
  refusal(method: string, path: string): RequestError {
    const methods = this.methodsOf(path)
    return methods.length > 0 && !methods.includes(method)
      ? new RequestError('method_not_allowed', `${path}: expected ${methods.join(' or ')}, got ${method}`)
      : new RequestError(
          'route_not_found',
          `${path}: expected a path of the API (see /docs), got an unknown one`
        )
  }
}

function matches(pattern: string, path: string): boolean {
  const parts = pattern.split('/')
  const names = path.split('/')
  if (parts.at(-1) === '*') return parts.slice(0, -1).every((part, i) => part === names[i])
  return parts.length === names.length && parts.every((part, i) => part.startsWith(':') || part === names[i])
}
