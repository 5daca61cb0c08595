/** Values that a JSON schema allows, and now and then one that it does not. */
import fc, { type Arbitrary } from 'fast-check'

export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly anyOf?: readonly Schema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
}

/** What breaks parsers, tokenizers and arithmetic. */
const hostile: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    true,
    -1,
    0,
    1e308,
    2 ** 53,
    -0.5,
    '',
    '\0',
    '\ud800',
    '<|endoftext|>',
    '__proto__',
    'é'.repeat(999)
  ),
  fc.jsonValue(),
  fc.constant({}),
  fc.constant([])
)

export function fromSchema(schema: Schema, schemas: Readonly<Record<string, Schema>>): Arbitrary<unknown> {
  const within = (inner: Schema) => fromSchema(inner, schemas)
  const allowed = (): Arbitrary<unknown> => {
    if (schema.$ref !== undefined) return within(schemas[schema.$ref.split('/').at(-1)!]!)
    if (schema.anyOf) return fc.oneof(...schema.anyOf.map(within))
    if (schema.enum) return fc.constantFrom(...schema.enum)
    if (schema.const !== undefined) return fc.constant(schema.const)
    return typed(schema, within)
  }
  return fc.oneof({ arbitrary: allowed(), weight: 15 }, { arbitrary: hostile, weight: 1 })
}

function typed(schema: Schema, within: (schema: Schema) => Arbitrary<unknown>): Arbitrary<unknown> {
  const { type, minimum = 0, items = {}, properties = {}, required = [], additionalProperties } = schema
  switch (type) {
    case 'integer':
      return integers(minimum, schema.maximum ?? Number.MAX_SAFE_INTEGER)
    case 'number':
      return fc.double({ min: minimum, max: schema.maximum ?? 24, noNaN: true })
    case 'string':
      if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern))
      return fc.oneof(
        fc.string(),
        fc.string({ unit: 'binary' }),
        fc.constantFrom(' red', ' green', 'toy-mixture')
      )
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(within(items), { minLength: schema.minItems ?? 0, maxLength: schema.maxItems ?? 4 })
    case 'object':
      if (typeof additionalProperties === 'object')
        return fc.dictionary(fc.string(), within(additionalProperties), { maxKeys: 4 })
      return objectOf(properties, required, within)
    default:
      return fc.jsonValue()
  }
}

/** Mostly small ones, which can be met, and now and then as large as may be. */
function integers(minimum: number, maximum: number): Arbitrary<number> {
  const small = fc.integer({ min: Math.max(minimum, -24), max: Math.min(maximum, 24) })
  const any = fc.integer({ min: minimum, max: maximum })
  return maximum <= 24 ? small : fc.oneof({ arbitrary: small, weight: 9 }, { arbitrary: any, weight: 1 })
}

/** Few of the fields that may be left out: with all of them hardly any request is one that can be met. */
function objectOf(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[],
  within: (schema: Schema) => Arbitrary<unknown>
): Arbitrary<unknown> {
  const optional = Object.keys(properties).filter((name) => !required.includes(name))
  return fc.subarray(optional, { maxLength: Math.min(4, optional.length) }).chain((chosen) => {
    const fields = [...required, ...chosen].map((name) => [name, within(properties[name]!)] as const)
    return fc.record(Object.fromEntries(fields))
  })
}
