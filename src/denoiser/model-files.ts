import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from './model-error.js'
import type { Variant } from './variant.js'

type ModelFile = Variant['files'][number]
interface ModelFiles {
  readonly variants: readonly Pick<Variant, 'files'>[]
}

const grouped = new Intl.NumberFormat('en-US')

/**
 * Checks the files that a manifest lists: all their sizes first, which costs nothing, then their contents.
 * @throws {ModelError} one line that names the file
 */
export async function checkModelFiles(folder: string, { variants }: ModelFiles): Promise<void> {
  // Variants share files.
  const files = new Map(
    variants.flatMap((variant) => variant.files).map((file) => [Object.values(file).join(), file])
  )
  for (const file of files.values()) await checkSize(join(folder, file.path), file)
  for (const file of files.values()) await checkContent(join(folder, file.path), file)
}

async function checkSize(path: string, { bytes }: ModelFile): Promise<void> {
  const expected = `${grouped.format(bytes)} bytes`
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error.code)
  if (typeof found !== 'object' || !found.isFile()) {
    const got = typeof found === 'object' ? 'a folder' : found === 'ENOENT' ? 'no such file' : found
    throw new ModelError(`${path}: expected ${expected}, got ${got}`)
  }
  if (found.size !== bytes) {
    throw new ModelError(`${path}: expected ${expected}, got ${grouped.format(found.size)}`)
  }
}

async function checkContent(path: string, { sha256 }: ModelFile): Promise<void> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  } catch (error) {
    throw new ModelError(`${path}: expected a readable file, got ${(error as Error).message}`)
  }
  const got = hash.digest('hex')
  if (got !== sha256) throw new ModelError(`${path}: expected sha256 ${sha256}, got ${got}`)
}
