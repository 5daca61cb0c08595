import t, { type Test } from 'tap'
import { DenoiserLost, type Device } from '../../src/denoiser/denoiser.js'
import { DenoiserChild, NotBegun } from '../../src/denoiser/denoiser-child.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { golden, toPass, toys } from './toy.js'

const manifest = await loadManifest(toys.mixture)
const pass = toPass(golden['toy-mixture'].passes[0]!, false)

async function start(t: Test, fault: string, device: Device = 'cpu', passTimeoutMs = 60_000) {
  const closing = new AbortController()
  t.teardown(() => closing.abort())
  return DenoiserChild.start({
    folder: 'models/x',
    manifest: { ...manifest, name: fault },
    device,
    deviceId: 0,
    threads: 1,
    passTimeoutMs,
    onLine: () => {},
    signal: closing.signal,
    program: new URL('./faulty-process.js', import.meta.url)
  })
}

t.test('a process that sends what is no answer is killed, and its pass is lost', async (t) => {
  const endings = {
    nonsense: 'it sent something that is no answer',
    text: 'it sent a message of 1819043176 bytes', // "hell"
    value: 'it sent something that is no message',
    length: 'it sent a message of 2147483647 bytes'
  }
  for (const [fault, ending] of Object.entries(endings)) {
    const child = await start(t, `pass-${fault}`)
    t.ok(child.alive)
    await t.rejects(child.run(pass), DenoiserLost)
    t.notOk(child.alive)
    t.equal(await child.ended, ending)
  }
})

t.test('a process that crashes loses its pass, and its last words are the reason', async (t) => {
  const child = await start(t, 'pass-crash')
  await t.rejects(child.run(pass), {
    name: 'DenoiserLost',
    message: "the denoiser's process ended: code 1: Error: out of memory"
  })
})

t.test('a pass that waits behind another has no part in its loss, and its time has not begun', async (t) => {
  const crashing = await start(t, 'pass-crash')
  const [first, second] = await Promise.allSettled([crashing.run(pass), crashing.run(pass)])
  t.match([first, second], [{ reason: DenoiserLost }, { reason: NotBegun }])

  const slow = await start(t, 'pass-slowness', 'cpu', 700) // enough for one pass, not for three
  const passes = [1, 2, 3].map(() => slow.run(pass))
  await Promise.all(passes.map((pass) => t.rejects(pass, { name: 'Error', message: 'slow' })))
  t.ok(slow.alive)
})

t.test('after a failure on a GPU its process is not trusted with another pass', async (t) => {
  const child = await start(t, 'pass-failure', 'cuda')
  await t.rejects(child.run(pass), { name: 'DenoiserLost', message: /CUDA error 700$/ })
  t.notOk(child.alive)
})

t.test(
  'a process that goes wrong while it opens the model is one line, of what may be the cause',
  async (t) => {
    await t.rejects(start(t, 'load-crash'), { name: 'ModelError', message: /^models\/x\/.*: out of memory$/ })
    await t.rejects(start(t, 'load-nonsense', 'cuda'), {
      name: 'DeviceError',
      message: /^cuda cannot be used: .*no answer; [^\n]*CUDA 13[^\n]*$/
    })
  }
)
