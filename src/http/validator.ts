import { Ajv, type AnySchemaObject, type ValidateFunction } from 'ajv'
import * as schemas from '../schemas.js'
import { type Finding, validationError } from './validation-error.js'

/** How everything that comes in is checked: a misspelt field is an error, and "4" is no number. */
export const validatorOptions = {
  removeAdditional: false,
  coerceTypes: false,
  useDefaults: true,
  verbose: true
} as const

/** A check by a named schema of the contract, outside a request, with the same findings. */
export function validator(schema: object): (value: unknown) => void {
  const validate = ajv.getSchema((schema as AnySchemaObject).$id!) as ValidateFunction
  return (value) => {
    if (!validate(value)) throw validationError(validate.errors as unknown as Finding[])
  }
}

const named = Object.values<unknown>(schemas).filter(
  (schema): schema is AnySchemaObject => typeof schema === 'object' && schema !== null && '$id' in schema
)
const ajv = new Ajv({ ...validatorOptions, strict: false, schemas: named })
