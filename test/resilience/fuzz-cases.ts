/** Requests made from the API's own description, so that each operation is met now and then. */
import fc, { type Arbitrary } from 'fast-check'
import type { Description, Operation } from './answer-checker.js'
import { fromSchema, type Schema } from './schema-arbitrary.js'

export interface Case {
  readonly method: string
  readonly path: string
  readonly operation: Operation
  /** Who asks; modulo how many there are. */
  readonly who: number
  /** The id in the path: one that is known, or this. */
  readonly knownId: boolean
  readonly pick: number
  readonly id: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** Asks again for a stream that was seen, from behind one of its events. */
  readonly resumes: boolean
  readonly body: unknown
  readonly form: Form | undefined
}
export interface Form {
  readonly fields: Readonly<Record<string, string>>
  readonly lines: readonly string[]
  readonly name: string
}

const likely = <T>(weight: number, usual: Arbitrary<T>, other: Arbitrary<T>) =>
  fc.oneof({ arbitrary: usual, weight }, { arbitrary: other, weight: 1 })
const optional = <T>(fields: Record<string, Arbitrary<T>>) =>
  fc.record(fields, { requiredKeys: [] }) as Arbitrary<Record<string, T>>

/** Bytes that a header may hold. */
const headerValue = fc.string({
  unit: fc
    .integer({ min: 32, max: 255 })
    .filter((code) => code !== 127)
    .map((code) => String.fromCharCode(code))
})
const headers = optional({
  'x-request-id': headerValue,
  'last-event-id': fc.oneof(
    headerValue,
    fc.stringMatching(/^[0-9a-f]{12}\.\d{1,16}(\.-?\d{1,9}_\d{1,9}_\d{1,10}(_end)?){1,3}$/)
  ),
  accept: headerValue,
  traceparent: headerValue
})

export function fuzzCases({ paths, components: { schemas } }: Description): Arbitrary<Case> {
  const cases = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, { responses }]) => !('101' in responses))
      .map(([method, operation]) => {
        const { parameters = [], requestBody } = operation
        const content = requestBody?.content ?? {}
        const json = content['application/json']?.schema
        const query = parameters.filter((parameter) => parameter.in === 'query')
        const values = query.map(({ name, schema }) => [
          name,
          likely(4, textFrom(schema, schemas), fc.string())
        ])
        const arbitrary = fc.record<Case>({
          method: fc.constant(method.toUpperCase()),
          path: fc.constant(path),
          operation: fc.constant(operation),
          who: fc.nat(),
          knownId: fc.nat(9).map((n) => n > 0),
          pick: fc.nat(),
          id: fc
            .oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('%', '../..', 'a'.repeat(2000)))
            .filter((id) => !/^\.{0,2}$/.test(id)),
          query: optional(Object.fromEntries(values)),
          headers,
          resumes: fc.nat(5).map((n) => n === 0),
          body: json ? bodyOf(path, json, schemas) : fc.constantFrom(undefined, undefined, {}),
          form: content['multipart/form-data'] ? form(schemas) : fc.constant(undefined)
        })
        return {
          arbitrary,
          weight: weightOf(path, operation)
        }
      })
  )
  return fc.oneof(...cases)
}

/** Streams are looked at event by event, and most batches have ended before somebody would cancel them. */
function weightOf(path: string, { requestBody, responses }: Operation): number {
  if ('text/event-stream' in responses[200]!.content!) return 6
  return requestBody || path.endsWith('/cancel') ? 3 : 1
}

function textFrom(schema: Schema, schemas: Record<string, Schema>): Arbitrary<string> {
  return fromSchema(schema, schemas).map(String)
}

type Schemas = Record<string, Schema>
type Fields = Record<string, unknown>

/** What the schema allows, and half of it put right where a description cannot say what fits together. */
function bodyOf(path: string, schema: Schema, schemas: Schemas): Arbitrary<unknown> {
  const made = fromSchema(schema, schemas)
  const fitting: Record<string, Arbitrary<Fields>> = {
    '/v1/completions': fc.record({ stream: fc.boolean(), drafts: fc.boolean() }),
    '/v1/infill': fc.record({
      stream: fc.boolean(),
      template: fc.nat(20).map((mask) => [' red', { mask: mask + 1 }])
    }),
    '/v2/models/{model}/infer': fc.array(fc.string(), { minLength: 1, maxLength: 4 }).chain((data) =>
      fc.record({
        inputs: fc.constantFrom(
          [{ name: 'prompt', datatype: 'BYTES', shape: [data.length], data }],
          [{ name: 'prompt', datatype: 'BYTES', shape: [data.length, 1], data: data.map((one) => [one]) }]
        )
      })
    )
  }
  const fields = fitting[path]
  if (!fields) return made
  return fc
    .tuple(made, fields, fc.boolean())
    .map(([body, fit, fits]) => (fits && isObject(body) ? { ...body, ...fit } : body))
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function form(schemas: Schemas): Arbitrary<Form> {
  const line = (url: string, name: string) =>
    fc.record({
      custom_id: fc.string({ minLength: 1 }),
      method: fc.constant('POST'),
      url: fc.constant(url),
      body: fromSchema(schemas[name]!, schemas)
    })
  const long = { model: 'toy-mixture', max_tokens: 24, steps: 24 }
  const many = Array.from({ length: 100 }, (_, i) => ({
    custom_id: `${i}`,
    method: 'POST',
    url: '/v1/completions',
    body: long
  }))
  const lines = fc.oneof(
    { arbitrary: fc.constant<unknown[]>(many), weight: 4 }, // there is time to cancel them
    fc.array(line('/v1/completions', 'CompletionRequest'), { minLength: 1, maxLength: 5 }),
    fc.array(line('/v1/infill', 'InfillRequest'), { minLength: 1, maxLength: 5 }),
    fc.array(fromSchema(schemas.BatchLine!, schemas), { maxLength: 5 })
  )
  return fc.record({
    fields: fc
      .record({
        purpose: likely(9, fc.constant('batch'), fc.string()),
        more: optional({
          'expires_after[anchor]': likely(5, fc.constant('created_at'), fc.string()),
          'expires_after[seconds]': likely(5, fc.nat(99_999).map(String), fc.string())
        })
      })
      .map(({ purpose, more }) => ({ purpose, ...more })),
    lines: fc
      .tuple(lines, likely(9, fc.constant<string[]>([]), fc.array(fc.string())))
      .map(([made, more]) => [...made.map((one) => JSON.stringify(one)), ...more]),
    name: fc.string()
  })
}
