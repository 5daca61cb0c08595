import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadManifest, type Manifest } from '../../src/denoiser/manifest.js'
import { copyToy, toys } from './toy.js'

/** A copy of a toy whose manifest was edited as JSON is: without regard to types, and to a checksum. */
async function edited(t: Test, edit: (manifest: Manifest) => unknown): Promise<string> {
  const folder = await copyToy(t)
  const path = join(folder, 'model.json')
  const { checksum, ...manifest } = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(path, JSON.stringify(edit(manifest)))
  return folder
}

const withFile = (path: string, graph: string) => (manifest: Manifest) => ({
  ...manifest,
  variants: [{ ...manifest.variants[0], graph, files: [{ ...manifest.variants[0]!.files[0], path }] }]
})

t.test('a whole folder loads', async (t) => {
  const manifest = await loadManifest(toys.mixture)
  t.match(manifest, { name: 'toy-mixture', kind: 'mixture', mask_token: 50257, context_length: 16 })
})

const broken: [what: string, edit: (manifest: Manifest) => unknown, line: string][] = [
  ['no object', () => [], 'content: expected an object, got []'],
  ['a missing field', ({ kind, ...rest }) => rest, 'kind: expected one of "mixture", "product", got nothing'],
  [
    'a missing field further in',
    (m) => ({ ...m, steps: { min: 1, max: 9 } }),
    'steps.default: expected an integer >= 1, got nothing'
  ],
  [
    'a field of a wrong type',
    (m) => ({ ...m, steps: { ...m.steps, default: '8' } }),
    'steps.default: expected an integer >= 1, got "8"'
  ],
  [
    'a number that is too small',
    (m) => ({ ...m, parameters: 0 }),
    'parameters: expected an integer >= 1, got 0'
  ],
  [
    'an unknown kind',
    (m) => ({ ...m, kind: 'sum' }),
    'kind: expected one of "mixture", "product", got "sum"'
  ],
  ['a later format', (m) => ({ ...m, format: 2 }), 'format: expected 1, got 2'],
  ['a teacher that is no name', (m) => ({ ...m, teacher: 3 }), 'teacher: expected a string, got 3'],
  ['no variant', (m) => ({ ...m, variants: [] }), 'variants: expected a non-empty array of objects, got []'],
  [
    'default steps out of range',
    (m) => ({ ...m, steps: { min: 1, max: 9, default: 10 } }),
    'steps.default: expected 1 to 9, got 10'
  ],
  [
    'a range of steps that is none',
    (m) => ({ ...m, steps: { min: 9, max: 4, default: 4 } }),
    'steps.max: expected at least 9, got 4'
  ],
  [
    'a mask among the words',
    (m) => ({ ...m, mask_token: 5 }),
    'mask_token: expected an id past the vocabulary of 50257, got 5'
  ],
  [
    'an end past the words',
    (m) => ({ ...m, eos_token: 50257 }),
    'eos_token: expected an id below 50257, got 50257'
  ],
  [
    'a path out of the folder',
    withFile('../x', '../x'),
    'variants.0.files.0.path: expected a file in the folder, got "../x"'
  ],
  [
    'a graph that is not listed',
    withFile('a.onnx', 'b.onnx'),
    'variants.0.graph: expected one of its files (a.onnx), got "b.onnx"'
  ]
]
for (const [what, edit, line] of broken) {
  t.test(`${what} is one line that names file and field`, async (t) => {
    const folder = await edited(t, edit)
    const message = `${join(folder, 'model.json')}: ${line}`
    await t.rejects(loadManifest(folder), { name: 'ModelError', message })
  })
}

t.test('a manifest that changed by itself is not served', async (t) => {
  const folder = await copyToy(t)
  const path = join(folder, 'model.json')
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace('"default": 4', '"default": 5'))
  await t.rejects(loadManifest(folder), { message: /model\.json: checksum: expected [0-9a-f]{64} for a/ })
})

t.test('a manifest may go without a checksum', async (t) => {
  const folder = await edited(t, (manifest) => ({ ...manifest, name: 'mine' }))
  t.match(await loadManifest(folder), { name: 'mine' })
})

t.test('a folder without a manifest, and one whose manifest is no JSON, are named', async (t) => {
  const empty = t.testdir()
  const message = `${join(empty, 'model.json')}: expected JSON, got no such file`
  await t.rejects(loadManifest(empty), { name: 'ModelError', message })
  const folder = t.testdir({ 'model.json': '{\n' })
  await t.rejects(loadManifest(folder), {
    name: 'ModelError',
    message: /model\.json: expected JSON, got [^\n]+$/
  })
})
