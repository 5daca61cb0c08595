/** Lists in pages, as OpenAI's clients ask for them. */
import Type, { type TProperties } from 'typebox'

/** What a list may be asked, and more. */
export function pageQuery<T extends TProperties>(more: T) {
  return Type.Object(
    {
      after: Type.Optional(Type.String({ description: 'The id after which the page begins.' })),
      limit: Type.Optional(
        Type.String({ pattern: '^[1-9][0-9]{0,4}$', description: 'Most entries of the page.' })
      ),
      order: Type.Optional(
        Type.Enum(['asc', 'desc'], {
          type: 'string',
          description: 'By age; desc, the newest first, unless given.'
        })
      ),
      ...more
    },
    { additionalProperties: false }
  )
}

interface PageQuery {
  readonly after?: string
  readonly limit?: string
  readonly order?: string
}

/** The page of all these, which are given with the newest first. Ids sort by age. */
export function pageOf<T extends { id: string }>(all: readonly T[], query: PageQuery, defaultLimit: number) {
  const { after, limit = defaultLimit, order } = query
  const ordered = order === 'asc' ? [...all].reverse() : all
  const rest = ordered.filter(({ id }) => after === undefined || (order === 'asc' ? id > after : id < after))
  const data = rest.slice(0, Number(limit))
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: data.length < rest.length
  }
}
