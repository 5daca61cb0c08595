import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ANSWERS } from '../../src/denoiser/answer-owner.js'
import { Channel } from '../../src/denoiser/channel.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { golden, toPass, toys } from './toy.js'

t.test('the process ends with its owner, not with a signal to the group', async (t) => {
  const program = new URL('../../src/denoiser/denoiser-process.js', import.meta.url)
  const args = [...process.execArgv, fileURLToPath(program)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'inherit', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let answered = (_: unknown) => {}
  const channel = new Channel({
    input: child.stdio[ANSWERS] as Readable,
    output: child.stdin!,
    onMessage: (message) => answered(message),
    onEnd: () => {}
  })
  // biome-ignore lint/suspicious/noExplicitAny: what a process sends may be anything
  const ask = (question: object): Promise<any> => {
    channel.send(question)
    return new Promise((resolve) => {
      answered = resolve
    })
  }
  const manifest = await loadManifest(toys.mixture)
  const load = { id: 1, type: 'load', folder: toys.mixture, manifest, device: 'cpu', deviceId: 0, threads: 1 }
  t.same(await ask(load), { id: 1, type: 'loaded' })
  child.kill('SIGINT')
  child.kill('SIGTERM')
  const given = golden['toy-mixture'].passes[0]!
  const { revealed } = await ask({ id: 2, type: 'pass', pass: toPass(given, false) })
  t.same(Array.from(revealed.tokens), given.expected.revealed)
  child.stdin!.end()
  t.same(await once(child, 'exit'), [0, null])
})
