import { request } from 'undici'
import { ConfigError } from '../setting.js'

/** Fewstep, or another server that answers OpenAI's clients: that one takes no steps and tells no timings. */
export type ServerKind = 'fewstep' | 'openai'

export interface Served {
  readonly kind: ServerKind
  readonly models: readonly { readonly id: string; readonly steps: number | null }[]
}

/** What answers at a URL, by its list of models. @throws {ConfigError} where nothing of the kind does */
export async function servedAt(url: string, key: string | null): Promise<Served> {
  const headers = key ? { authorization: `Bearer ${key}` } : {}
  const expected = (got: string) =>
    new ConfigError(`--url: expected a fewstep or OpenAI-compatible server, got ${url} (${got})`)
  if (!URL.canParse(url)) throw expected('no URL')
  const answer = await request(new URL('/v1/models', url), { headers }).catch((error) => {
    throw expected(error.code ?? error.message)
  })
  const list = await answer.body.json().catch(() => undefined)
  if (answer.statusCode !== 200 || !isModelList(list))
    throw expected(`status ${answer.statusCode} for /v1/models`)
  const models = list.data.map(({ id, steps }) => ({ id, steps: steps?.default ?? null }))
  return { kind: models.every(({ steps }) => steps !== null) ? 'fewstep' : 'openai', models }
}

interface ModelList {
  readonly data: readonly { readonly id: string; readonly steps?: { readonly default: number } }[]
}

function isModelList(body: unknown): body is ModelList {
  const { data } = (body ?? {}) as { data?: unknown }
  return Array.isArray(data) && data.length > 0 && data.every((model) => typeof model?.id === 'string')
}
