import Type, { type Static } from 'typebox'

const ManifestFile = Type.Object({
  path: Type.String({ minLength: 1 }),
  bytes: Type.Integer({ minimum: 0 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' })
})

/** `models/<name>/model.json`: what a model is, how it was made, and the files that must be there. */
export const ManifestSchema = Type.Object({
  format: Type.Literal(1),
  name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }),
  kind: Type.Enum(['mixture', 'product'], { type: 'string' }),
  description: Type.String(),
  tokenizer: Type.String({ minLength: 1 }),
  vocabulary_size: Type.Integer({ minimum: 2 }),
  trained_vocabulary: Type.Integer({ minimum: 2 }),
  mask_token: Type.Integer({ minimum: 0 }),
  bos_token: Type.Integer({ minimum: 0 }),
  eos_token: Type.Integer({ minimum: 0 }),
  context_length: Type.Integer({ minimum: 2 }),
  noise_schedule: Type.Enum(['log-linear'], { type: 'string' }),
  steps: Type.Object({
    default: Type.Integer({ minimum: 1 }),
    min: Type.Integer({ minimum: 1 }),
    max: Type.Integer({ minimum: 1 })
  }),
  teacher: Type.Union([Type.String(), Type.Null()]),
  parameters: Type.Integer({ minimum: 1 }),
  architecture: Type.Record(Type.String(), Type.Unknown()),
  variants: Type.Array(
    Type.Object({
      precision: Type.String(),
      devices: Type.Array(Type.Enum(['cpu', 'cuda'], { type: 'string' }), { minItems: 1 }),
      graph: Type.String({ minLength: 1 }),
      files: Type.Array(ManifestFile, { minItems: 1 })
    }),
    { minItems: 1 }
  ),
  licence: Type.String(),
  provenance: Type.Record(Type.String(), Type.Unknown()),
  parity: Type.Record(Type.String(), Type.Unknown()),
  evaluation: Type.Array(Type.Record(Type.String(), Type.Unknown()))
})
export type Manifest = Static<typeof ManifestSchema>
