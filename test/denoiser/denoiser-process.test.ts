import { fork } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { golden, toPass, toys } from './toy.js'

t.test('the process ends with its owner, not with a signal to the group', async (t) => {
  const program = new URL('../../src/denoiser/denoiser-process.js', import.meta.url)
  const child = fork(program, { serialization: 'advanced' })
  t.teardown(() => child.kill('SIGKILL'))
  const ask = async (question: object) => {
    child.send(question)
    return (await once(child, 'message'))[0]
  }
  const manifest = await loadManifest(toys.mixture)
  const load = { id: 1, type: 'load', folder: toys.mixture, manifest, device: 'cpu', deviceId: 0, threads: 1 }
  t.same(await ask(load), { id: 1, type: 'loaded' })
  child.kill('SIGINT')
  child.kill('SIGTERM')
  const given = golden['toy-mixture'].passes[0]!
  const { revealed } = await ask({ id: 2, type: 'pass', pass: toPass(given, false) })
  t.same(Array.from(revealed.tokens), given.expected.revealed)
  child.disconnect()
  t.same(await once(child, 'exit'), [0, null])
})
