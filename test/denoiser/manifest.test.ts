import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { toys } from './toy.js'

async function copy(t: Test, change: (manifest: Record<string, never>) => unknown = (manifest) => manifest) {
  const folder = t.testdir()
  await cp(toys.mixture, folder, { recursive: true })
  const path = join(folder, 'model.json')
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')))))
  return folder
}

t.test('a whole folder loads', async (t) => {
  t.match(await loadManifest(toys.mixture), {
    name: 'toy-mixture',
    kind: 'mixture',
    mask_token: 50257,
    context_length: 16
  })
})

const broken: [string, (manifest: Record<string, never>) => unknown, RegExp][] = [
  ['a missing field', ({ kind, ...rest }) => rest, /model\.json: kind: missing$/],
  [
    'a field of a wrong type',
    (m) => ({ ...m, context_length: '16' }),
    /context_length: expected integer, got "16"$/
  ],
  [
    'a nested field',
    (m) => ({ ...m, steps: { min: 1, max: 9, default: 'x' } }),
    /steps\.default: expected integer, got "x"$/
  ],
  ['an unknown kind', (m) => ({ ...m, kind: 'sum' }), /kind: expected mixture or product, got "sum"$/],
  [
    'default steps out of range',
    (m) => ({ ...m, steps: { min: 1, max: 9, default: 10 } }),
    /steps\.default: expected 1 to 9, got 10$/
  ],
  [
    'a mask among the words',
    (m) => ({ ...m, mask_token: 5 }),
    /mask_token: expected an id past the vocabulary/
  ],
  [
    'a path out of the folder',
    (m) => ({
      ...m,
      variants: [
        {
          ...(m.variants as unknown as object[])[0],
          graph: '../x',
          files: [{ path: '../x', bytes: 1, sha256: '0'.repeat(64) }]
        }
      ]
    }),
    /variants\.0\.files: expected names of files in the folder, got \.\.\/x$/
  ]
]
for (const [what, change, message] of broken) {
  t.test(`${what} is one line that names file and field`, async (t) => {
    await t.rejects(loadManifest(await copy(t, change)), { name: 'ModelError', message })
  })
}

t.test('a file that is missing, cut short or changed is named', async (t) => {
  const missing = await copy(t)
  await rm(join(missing, 'denoiser.onnx'))
  await t.rejects(loadManifest(missing), { name: 'ModelError', message: /denoiser\.onnx: no such file/ })
  const short = await copy(t)
  await truncate(join(short, 'denoiser.onnx'), 12)
  await t.rejects(loadManifest(short), {
    message: /denoiser\.onnx: expected \d+ bytes \(model\.json\), got 12$/
  })
  const flipped = await copy(t)
  const bytes = await readFile(join(flipped, 'denoiser.onnx'))
  bytes[1000]! ^= 1
  await writeFile(join(flipped, 'denoiser.onnx'), bytes)
  await t.rejects(loadManifest(flipped), {
    message: /denoiser\.onnx: expected sha256 [0-9a-f]{64} \(model\.json\), got/
  })
})

t.test('a folder without a manifest, and one that is no JSON, are named', async (t) => {
  await t.rejects(loadManifest(t.testdir()), { name: 'ModelError', message: /model\.json: no such file$/ })
  const folder = t.testdir({ 'model.json': '{' })
  await t.rejects(loadManifest(folder), { name: 'ModelError', message: /model\.json: expected JSON/ })
})
