import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { inWords, type JsonSchema } from '../schema-words.js'

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

/** A value as JSON, or as much of it as a line bears. */
function preview(value: unknown): string {
  if (value === undefined) return 'nothing'
  const json = JSON.stringify(value)
  return json.length > 60 ? `${json.slice(0, 60)}…` : json
}
