import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Type, { type Static } from 'typebox'
import { firstMismatch } from './mismatch.js'
import { ModelError } from './model-error.js'
import { checkModelFiles } from './model-files.js'
import type { Variant } from './variant.js'

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const ManifestFile = Type.Object({
  path: Type.String({ minLength: 1 }),
  bytes: Type.Integer({ minimum: 0 }),
  sha256: Sha256
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
  evaluation: Type.Array(Type.Record(Type.String(), Type.Unknown())),
  /** SHA-256 of this file without these digits. One that is written by hand may go without. */
  checksum: Type.Optional(Sha256)
})
export type Manifest = Static<typeof ManifestSchema>

/**
 * Reads the manifest of a model folder and checks it against itself and against the files beside it.
 * @throws {ModelError} one line that names file and field
 */
export async function loadManifest(folder: string): Promise<Manifest> {
  const path = join(folder, 'model.json')
  const { content, text } = await readJson(path)
  const mismatch =
    firstMismatch(ManifestSchema, content) ??
    contradiction(content as Manifest) ??
    change(text, content as Manifest)
  if (mismatch) throw new ModelError(`${path}: ${mismatch}`)
  const manifest = content as Manifest
  await checkModelFiles(folder, manifest)
  return manifest
}

async function readJson(path: string): Promise<{ content: unknown; text: string }> {
  try {
    const text = await readFile(path, 'utf8')
    return { content: JSON.parse(text), text }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const got = code === 'ENOENT' ? 'no such file' : message.replaceAll('\n', ' ')
    throw new ModelError(`${path}: expected JSON, got ${got}`)
  }
}

/** What the checksum does not allow. */
function change(text: string, { checksum }: Manifest): string | undefined {
  if (checksum === undefined) return undefined
  const got = createHash('sha256').update(text.replace(checksum, '')).digest('hex')
  return got === checksum ? undefined : `checksum: expected ${got} for a file that says this, got ${checksum}`
}

/** The first field that the others do not allow. */
function contradiction(manifest: Manifest): string | undefined {
  const { steps, vocabulary_size: size, mask_token: mask } = manifest
  const rules: [holds: boolean, field: string, expected: string, got: number][] = [
    [steps.max >= steps.min, 'steps.max', `at least ${steps.min}`, steps.max],
    [
      steps.default >= steps.min && steps.default <= steps.max,
      'steps.default',
      `${steps.min} to ${steps.max}`,
      steps.default
    ],
    [
      manifest.trained_vocabulary <= size,
      'trained_vocabulary',
      `at most ${size}`,
      manifest.trained_vocabulary
    ],
    // Were the mask an id of the vocabulary, a text could hold it.
    [mask >= size, 'mask_token', `an id past the vocabulary of ${size}`, mask],
    [manifest.bos_token < size, 'bos_token', `an id below ${size}`, manifest.bos_token],
    [manifest.eos_token < size, 'eos_token', `an id below ${size}`, manifest.eos_token]
  ]
  const broken = rules.find(([holds]) => !holds)
  if (broken) return `${broken[1]}: expected ${broken[2]}, got ${broken[3]}`
  return manifest.variants.map(fileContradiction).find((found) => found !== undefined)
}

function fileContradiction({ graph, files }: Variant, index: number): string | undefined {
  const names = files.map(({ path }) => path)
  const outside = names.findIndex((name) => /[/\\]|^\.\.?$/.test(name))
  const field = `variants.${index}`
  if (outside >= 0)
    return `${field}.files.${outside}.path: expected a file in the folder, got "${names[outside]}"`
  if (names.includes(graph)) return undefined
  return `${field}.graph: expected one of its files (${names.join(', ')}), got "${graph}"`
}
