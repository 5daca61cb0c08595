import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import Type, { type Static } from 'typebox'
import Value from 'typebox/value'
import type { Device } from './denoiser.js'
import { ModelError } from './model-error.js'

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
export type Variant = Manifest['variants'][number]

/**
 * Reads the manifest of a model folder and checks it against itself and against the files beside it.
 * @throws {ModelError} one line that names file and field
 */
export async function loadManifest(folder: string): Promise<Manifest> {
  const path = join(folder, 'model.json')
  const manifest = checkFields(path, await readJson(path))
  checkMeaning(path, manifest)
  for (const file of manifest.variants.flatMap(({ files }) => files)) await checkFile(folder, file)
  return manifest
}

/** The first variant made for the device. */
export function variantFor(manifest: Manifest, device: Device): Variant | undefined {
  return manifest.variants.find(({ devices }) => devices.includes(device))
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new ModelError(`${path}: ${code === 'ENOENT' ? 'no such file' : `expected JSON, ${message}`}`)
  }
}

function checkFields(path: string, value: unknown): Manifest {
  const error = Value.Errors(ManifestSchema, value)[0]
  if (!error) return value as Manifest
  const field = error.instancePath.slice(1).replaceAll('/', '.')
  const params = error.params as { requiredProperties?: string[]; allowedValues?: unknown[] }
  if (params.requiredProperties) {
    const missing = params.requiredProperties.map((name) => (field ? `${field}.${name}` : name)).join(', ')
    throw new ModelError(`${path}: ${missing}: missing`)
  }
  const expected = params.allowedValues?.join(' or ') ?? error.message.replace(/^must (be )?/, '')
  const got = JSON.stringify(
    field.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown>)?.[name], value)
  )
  throw new ModelError(
    `${path}: ${field || 'content'}: expected ${expected}, got ${field ? got : typeof value}`
  )
}

function checkMeaning(
  path: string,
  { steps, mask_token, bos_token, eos_token, vocabulary_size, variants }: Manifest
): void {
  const expect = (holds: boolean, field: string, expected: string, got: unknown) => {
    if (!holds) throw new ModelError(`${path}: ${field}: expected ${expected}, got ${got}`)
  }
  expect(
    steps.min <= steps.default && steps.default <= steps.max,
    'steps.default',
    `${steps.min} to ${steps.max}`,
    steps.default
  )
  expect(
    mask_token >= vocabulary_size,
    'mask_token',
    `an id past the vocabulary of ${vocabulary_size}`,
    mask_token
  )
  expect(bos_token < vocabulary_size, 'bos_token', `an id below ${vocabulary_size}`, bos_token)
  expect(eos_token < vocabulary_size, 'eos_token', `an id below ${vocabulary_size}`, eos_token)
  variants.forEach(({ graph, files }, i) => {
    const names = files.map((file) => file.path)
    expect(names.includes(graph), `variants.${i}.graph`, `one of its files (${names.join(', ')})`, graph)
    const outside = names.find((name) => basename(name) !== name)
    expect(outside === undefined, `variants.${i}.files`, 'names of files in the folder', outside)
  })
}

async function checkFile(
  folder: string,
  { path: name, bytes, sha256 }: Variant['files'][number]
): Promise<void> {
  const path = join(folder, name)
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) throw new ModelError(`${path}: no such file (model.json lists it)`)
  if (found.size !== bytes)
    throw new ModelError(`${path}: expected ${bytes} bytes (model.json), got ${found.size}`)
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  const got = hash.digest('hex')
  if (got !== sha256) throw new ModelError(`${path}: expected sha256 ${sha256} (model.json), got ${got}`)
}
