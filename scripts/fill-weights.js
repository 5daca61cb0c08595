/**
 * node scripts/fill-weights.js FOLDER: writes the random matrices of a model that was packed without them (scripts/pack-gpu-check.sh), where its
 * weights.json says, and the checksums that follow into its model.json. weights.json goes.
 */
import { createHash } from 'node:crypto'
import { openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2]
const DEVIATION = 0.02
const CHUNK = 1 << 16

const { file, regions } = JSON.parse(readFileSync(join(folder, 'weights.json'), 'utf8'))
const descriptor = openSync(join(folder, file), 'r+')
const values = new Uint16Array(CHUNK)
const float32 = new Float32Array(1)
const float32Bits = new Uint32Array(float32.buffer)
let state = 1
for (const { offset, count } of regions) {
  for (let done = 0; done < count; done += CHUNK) {
    const length = Math.min(CHUNK, count - done)
    for (let i = 0; i < length; i++) values[i] = toFloat16(random())
    writeSync(descriptor, values, 0, 2 * length, offset + 2 * done)
  }
}
const manifestPath = join(folder, 'model.json')
const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'))
const sha256 = hash(readFileSync(join(folder, file)))
for (const entry of manifest.variants.flatMap(({ files }) => files))
  if (entry.path === file) entry.sha256 = sha256
const bare = `${JSON.stringify({ ...manifest, checksum: '' }, null, 2)}\n` // distill/manifest.py
writeFileSync(manifestPath, bare.replace('"checksum": ""', `"checksum": "${hash(bare)}"`))
rmSync(join(folder, 'weights.json'))

function hash(content) {
  return createHash('sha256').update(content).digest('hex')
}

/** Of the wanted deviation and nearly normal: the sum of three uniform numbers. */
function random() {
  return 2 * DEVIATION * (uniform() + uniform() + uniform() - 1.5)
}

/** xorshift32: the same weights on every machine. */
function uniform() {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) / 2 ** 32
}

/** The bits of the float16 nearest towards zero; what is too small for a normal one is 0. */
function toFloat16(value) {
  float32[0] = value
  const bits = float32Bits[0]
  const exponent = ((bits >>> 23) & 0xff) - 112
  const sign = (bits >>> 16) & 0x8000
  return exponent > 0 ? sign | (exponent << 10) | ((bits >>> 13) & 0x3ff) : sign
}
