/** Lists in pages, as OpenAI's clients ask for them. */
import Type, { type TProperties } from 'typebox'

/** What a list may be asked, and more. @param limit what it is written like */
export function pageQuery<T extends TProperties>(limit: string, more: T) {
  return Type.Object(
    {
      after: Type.Optional(Type.String({ description: 'The id after which the page begins.' })),
      limit: Type.Optional(Type.String({ pattern: limit, description: 'Most entries of the page.' })),
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

/** The first of these as a page. */
export async function pageOf<T extends { id: string }>(all: AsyncIterable<T>, limit: number) {
  const data: T[] = []
  let has_more = false
  for await (const item of all) {
    has_more = data.length === limit
    if (has_more) break
    data.push(item)
  }
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more
  }
}
