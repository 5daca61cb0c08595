import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { missingCudaProvider } from '../../src/denoiser/cuda-provider.js'
import { DenoiserLost, type Revealed } from '../../src/denoiser/denoiser.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { type DenoiserOptions, RemoteDenoiser } from '../../src/denoiser/remote-denoiser.js'
import { copyToy, golden, toPass, toys } from './toy.js'

const given = golden['toy-mixture'].passes[0]!
const pass = toPass(given, true)
const noGpu = missingCudaProvider() ? {} : { skip: 'there may be a GPU' }

async function start(t: Test, changes: Partial<DenoiserOptions> = {}, folder: string = toys.mixture) {
  const log: string[] = []
  const denoiser = await RemoteDenoiser.start(folder, await loadManifest(folder), {
    device: 'cpu',
    deviceId: 0,
    threads: 1,
    passTimeoutMs: 60_000,
    log: (level, line) => log.push(`${level} ${line}`),
    ...changes
  })
  t.teardown(() => denoiser.close())
  return { denoiser, log }
}

/** Process ids of this process's children that run a denoiser. */
async function children(): Promise<number[]> {
  const ids = (await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')).split(' ')
  const commands = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return ids.filter((_, i) => commands[i]!.includes('denoiser-process')).map(Number)
}

const turn = () => new Promise(setImmediate)
const values = ({ passMs, ...rest }: Revealed) => rest

t.test('passes run in order, beside those of another model', async (t) => {
  const [{ denoiser }, other] = await Promise.all([start(t), start(t, {}, toys.product)])
  const results: string[] = []
  const [first, second, third] = await Promise.all([
    denoiser.run(pass).finally(() => results.push('first')),
    denoiser.run({ ...pass, alternatives: false }).finally(() => results.push('second')),
    other.denoiser.run(toPass(golden['toy-product'].passes[0]!, false))
  ])
  t.same(results, ['first', 'second'])
  t.same(Array.from(first.tokens), given.expected.revealed)
  t.same(values(second), {
    ...values(first),
    alternativeTokens: new Int32Array(),
    alternativeProbabilities: new Float32Array()
  })
  t.same(Array.from(third.tokens), golden['toy-product'].passes[0]!.expected.revealed)
  t.match(denoiser, { ready: true, device: 'cpu', fallback: null, restarts: 0 })

  t.test('a pass that the graph refuses fails alone', async (t) => {
    await t.rejects(denoiser.run({ ...pass, rows: pass.rows.map(() => 1e6) }), { name: 'Error' })
    t.same(values(await denoiser.run(pass)), values(first))
    t.equal(denoiser.restarts, 0)
  })
})

t.test('the time of a pass does not hold that of those which it lay behind', async (t) => {
  const { denoiser } = await start(t)
  const begun = performance.now()
  const passes = await Promise.all(Array.from({ length: 16 }, () => denoiser.run(pass)))
  const tookMs = performance.now() - begun
  const passMs = passes.reduce((sum, pass) => sum + pass.passMs, 0)
  t.ok(passMs <= tookMs, `${passMs} of ${tookMs} ms`)
})

t.test('a killed process costs its pass, and the same pass gives the same from its successor', async (t) => {
  const { denoiser, log } = await start(t)
  const before = await denoiser.run(pass)
  const [child] = await children()
  process.kill(child!, 'SIGSTOP') // so that the pass does not end before the blow
  const lost = denoiser.run(pass)
  const waiting = denoiser.run(pass)
  await turn()
  process.kill(child!, 'SIGKILL')
  await t.rejects(lost, DenoiserLost)
  t.notOk(denoiser.ready)
  t.same(values(await waiting), values(before))
  t.ok(denoiser.ready)
  t.equal(denoiser.restarts, 1)
  t.match(log, ["warn toy-mixture: the denoiser's process ended and is replaced: SIGKILL"])

  t.test('a pass that meets a process just killed is lost once, and no more', async (t) => {
    process.kill((await children())[0]!, 'SIGKILL')
    await t.rejects(denoiser.run(pass), DenoiserLost)
    t.same(values(await denoiser.run(pass)), values(before))
    t.equal(denoiser.restarts, 2)
  })
})

t.test('a hung process is killed and replaced', async (t) => {
  const { denoiser, log } = await start(t, { passTimeoutMs: 1500 })
  const before = await denoiser.run(pass)
  process.kill((await children())[0]!, 'SIGSTOP')
  await t.rejects(denoiser.run(pass), { name: 'DenoiserLost', message: /no answer within 1500 ms/ })
  t.same(values(await denoiser.run(pass)), values(before))
  t.match(log.join('\n'), /no answer within 1500 ms/)
})

t.test('no process opens other weights than the first one did', async (t) => {
  const folder = await copyToy(t)
  const { denoiser } = await start(t, {}, folder)
  const graph = join(folder, 'denoiser.onnx')
  const content = await readFile(graph)
  content[content.length >> 1]! ^= 1
  await writeFile(graph, content)
  process.kill((await children())[0]!, 'SIGKILL')
  await t.rejects(denoiser.run(pass), DenoiserLost)
  await t.rejects(denoiser.run(pass), { message: /denoiser\.onnx: expected sha256 [^\n]+$/ })
})

t.test('closing ends the process, what it runs and what waits', async (t) => {
  const { denoiser } = await start(t)
  process.kill((await children())[0]!, 'SIGSTOP')
  const passes = [denoiser.run(pass), denoiser.run(pass)]
  const ends = Promise.all(passes.map((pass) => t.rejects(pass, { message: 'the denoiser is closed' })))
  await turn()
  await denoiser.close()
  t.same(await children(), [])
  await ends
  await t.rejects(denoiser.run(pass), { message: 'the denoiser is closed' })
  await denoiser.close()
})

t.test('closing while a successor starts ends it too', async (t) => {
  const { denoiser } = await start(t)
  const [child] = await children()
  process.kill(child!, 'SIGKILL')
  while ((await children()).every((id) => id === child)) await turn()
  await denoiser.close()
  t.same(await children(), [])
})

t.test('auto falls back to the CPU and says why; cuda is refused in one line', noGpu, async (t) => {
  const { denoiser, log } = await start(t, { device: 'auto' })
  t.equal(denoiser.device, 'cpu')
  t.match(denoiser.fallback, /^the CUDA provider is not installed/)
  t.match(log, ['info toy-mixture runs on the CPU: the CUDA provider is not installed'])
  await t.rejects(start(t, { device: 'cuda' }), {
    name: 'DeviceError',
    message: /^cuda cannot be used: [^\n]+ONNXRUNTIME_NODE_INSTALL=true npm rebuild onnxruntime-node$/
  })
})

t.test('a folder that cannot be served is refused before a process starts', async (t) => {
  const started = start(t, {}, 'test/fixtures')
  await t.rejects(started, { name: 'ModelError', message: /model\.json/ })
  t.same(await children(), [])
})
