/** A JSON schema said in words, for messages such as `steps: expected an integer >= 1, got "4"`. */
export interface JsonSchema {
  readonly $ref?: string // to an object, as all schemas with a name are
  readonly title?: string
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
}

/** What a schema asks for, such as "a string or an array of token ids". */
export function inWords(schema: JsonSchema): string {
  if (schema.anyOf) return list(askedFor(schema.anyOf).map(inWords))
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`
  if (schema.type === 'boolean') return 'true or false'
  if (schema.type === 'array') return array(schema)
  const noun = singular(schema)
  return `${/^[aeio]/.test(noun) ? 'an' : 'a'} ${noun}${bounds(schema)}`
}

function array({ minItems, maxItems, items = {} }: JsonSchema): string {
  const most = maxItems === undefined ? '' : `at most ${maxItems} `
  return `${minItems ? 'a non-empty array' : 'an array'} of ${most}${many(items)}`
}

/** Null says "not set": accepted, but nothing to advise. */
const askedFor = (schemas: readonly JsonSchema[]) => schemas.filter(({ type }) => type !== 'null')

function many(schema: JsonSchema): string {
  if (schema.anyOf) return list(askedFor(schema.anyOf).map(many))
  if (schema.type === 'array') return `arrays of ${many(schema.items ?? {})}`
  const [noun, ...example] = singular(schema).split(' such as')
  return [`${noun}s`, ...example].join(' such as')
}

function singular({ $ref, title, type = $ref ? 'object' : 'value', minLength }: JsonSchema): string {
  return title ?? (minLength ? `non-empty ${type}` : type)
}

function bounds(schema: JsonSchema): string {
  const { title, minimum, exclusiveMinimum, maximum, maxLength, pattern } = schema
  if (title !== undefined) return ''
  if (pattern !== undefined) return ` like /${pattern}/`
  if (maxLength !== undefined) return ` of at most ${maxLength} characters`
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  const least = exclusiveMinimum === undefined ? minimum : exclusiveMinimum
  const parts = [
    least === undefined ? '' : `${exclusiveMinimum === undefined ? '>=' : '>'} ${least}`,
    maximum === undefined ? '' : `<= ${maximum}`
  ].filter(Boolean)
  return parts.length > 0 ? ` ${parts.join(' and ')}` : ''
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
