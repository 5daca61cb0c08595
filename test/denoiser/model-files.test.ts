import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { checkModelFiles } from '../../src/denoiser/model-files.js'
import { copyToy, toys } from './toy.js'

const manifest = await loadManifest(toys.mixture)
const { files } = manifest.variants[0]!
const bytes = files[0]!.bytes.toLocaleString('en-US')

t.test('a file that is missing, a folder, or cut short is named with the size it should have', async (t) => {
  const folder = await copyToy(t)
  const path = join(folder, 'denoiser.onnx')
  await truncate(path, 12)
  await t.rejects(checkModelFiles(folder, manifest), {
    name: 'ModelError',
    message: `${path}: expected ${bytes} bytes, got 12`
  })
  await rm(path)
  await t.rejects(checkModelFiles(folder, manifest), {
    name: 'ModelError',
    message: `${path}: expected ${bytes} bytes, got no such file`
  })
  await mkdir(path)
  await t.rejects(checkModelFiles(folder, manifest), {
    message: `${path}: expected ${bytes} bytes, got a folder`
  })
})

t.test('one changed bit is found', async (t) => {
  const folder = await copyToy(t)
  const path = join(folder, 'denoiser.onnx')
  await checkModelFiles(folder, manifest)
  const content = await readFile(path)
  content[1000]! ^= 1
  await writeFile(path, content)
  const message = new RegExp(`denoiser\\.onnx: expected sha256 ${files[0]!.sha256}, got [0-9a-f]{64}$`)
  await t.rejects(checkModelFiles(folder, manifest), { name: 'ModelError', message })
})
