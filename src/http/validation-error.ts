/** Turns what the validator found into one sentence that names the field, what was expected and what came. */
import { RequestError } from '../errors.js'
import { inWords, type JsonSchema } from '../schema-words.js'
import { nearestName } from './edit-distance.js'
import { jsonType } from './json-type.js'

/** One finding of the validator (ajv in its verbose form). */
export interface Finding {
  readonly keyword: string
  readonly instancePath: string
  readonly schemaPath: string
  readonly params: Readonly<Record<string, unknown>>
  readonly schema?: unknown
  readonly parentSchema?: JsonSchema
  readonly data?: unknown
}

/** @param within a member whose fields are named as if they stood alone */
export function validationError(findings: readonly Finding[], within = ''): RequestError {
  const finding = innermost(findings)
  const { keyword, params, parentSchema = {}, data } = finding
  const field = fieldName(finding.instancePath, within)
  if (keyword === 'additionalProperties') {
    return unknownField(field, String(params.additionalProperty), parentSchema)
  }
  if (keyword === 'required') {
    const missing = String(params.missingProperty)
    return mismatch(join(field, missing), parentSchema.properties?.[missing] ?? {}, undefined)
  }
  return mismatch(field, parentSchema, data)
}

/**
 * A union fails with the findings of each of its branches, itself last. Where the value has the type of one
 * branch only, that branch was meant, and what it found says more.
 */
function innermost(findings: readonly Finding[]): Finding {
  let outer = findings.at(-1)!
  while (outer.keyword === 'anyOf') {
    const branches = outer.schema as readonly JsonSchema[]
    const meant = branches.flatMap((branch, i) => (hasTypeOf(branch, outer.data) ? [i] : []))
    const inner = findings.findLast(({ schemaPath }) =>
      schemaPath.startsWith(`${outer.schemaPath}/${meant[0]}/`)
    )
    if (meant.length !== 1 || !inner) break
    outer = inner
  }
  return outer
}

function hasTypeOf(schema: JsonSchema, value: unknown): boolean {
  if (schema.anyOf) return schema.anyOf.some((branch) => hasTypeOf(branch, value))
  const type = jsonType(value)
  return schema.type === 'integer' ? type === 'number' : schema.type === type
}

function mismatch(field: string, schema: JsonSchema, value: unknown): RequestError {
  const message = `${field || 'body'}: expected ${inWords(schema)}, got ${preview(value)}`
  return new RequestError('invalid_request', message, field ? { param: field } : {})
}

function unknownField(parent: string, name: string, schema: JsonSchema): RequestError {
  const shown = name.length > 64 ? `${name.slice(0, 64)}…` : name
  const param = join(parent, shown)
  const nearest = nearestName(name, Object.keys(schema.properties ?? {}))
  const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`
  return new RequestError('invalid_request', `${param}: unknown field${hint}`, { param })
}

/** `/template/1/mask` to `template[1].mask`. */
function fieldName(pointer: string, within: string): string {
  const names = pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (names.length > 1 && names[0] === within) names.shift()
  return names.reduce(
    (path, name) => (/^\d+$/.test(name) && path ? `${path}[${name}]` : join(path, name)),
    ''
  )
}

const join = (parent: string, name: string) => (parent ? `${parent}.${name}` : name)

/** A value as JSON, or as much of it as a message bears. */
function preview(value: unknown): string {
  if (value === undefined) return 'nothing'
  const shown = typeof value === 'number' ? String(value) : toJson(value)
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    return 'a value nested too deep' // parsing has no limit of depth, writing has
  }
}
