import type { TSchema } from 'typebox'
import Value from 'typebox/value'

interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly minimum?: number
  readonly minLength?: number
  readonly minItems?: number
  readonly pattern?: string
}

/** The first place where a value is not what a schema asks for: `steps.default: expected an integer >= 1, got "8"`. */
export function firstMismatch(schema: TSchema, value: unknown): string | undefined {
  const error = Value.Errors(schema, value)[0]
  if (!error) return undefined
  const path = error.instancePath.split('/').slice(1)
  if (error.keyword === 'required') path.push(error.params.requiredProperties[0]!)
  let expected: JsonSchema = schema
  let got = value
  for (const name of path) {
    expected = expected.items ?? expected.properties?.[name] ?? {}
    got = (got as Record<string, unknown>)[name]
  }
  return `${path.join('.') || 'content'}: expected ${inWords(expected)}, got ${preview(got)}`
}

function inWords(schema: JsonSchema): string {
  const { type, minimum, minLength, minItems, pattern } = schema
  if (schema.anyOf) return schema.anyOf.map(inWords).join(' or ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ')
  if (type === 'integer') return minimum === undefined ? 'an integer' : `an integer >= ${minimum}`
  if (type === 'string' && pattern) return `a string like /${pattern}/`
  if (type === 'string') return minLength ? 'a non-empty string' : 'a string'
  if (type === 'array') return minItems ? 'a non-empty array' : 'an array'
  if (type === 'object') return 'an object'
  return String(type)
}

/** A value as JSON, or as much of it as a line bears. */
function preview(value: unknown): string {
  if (value === undefined) return 'nothing'
  const json = JSON.stringify(value)
  return json.length > 60 ? `${json.slice(0, 60)}…` : json
}
