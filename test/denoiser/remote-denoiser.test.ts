import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { DenoiserLost, type Revealed } from '../../src/denoiser/denoiser.js'
import { type DenoiserOptions, RemoteDenoiser } from '../../src/denoiser/remote-denoiser.js'
import { golden, toPass, toys } from './toy.js'

const pass = toPass(golden['toy-mixture'].passes[0]!, true)

async function start(t: Test, changes: Partial<DenoiserOptions> = {}) {
  const log: string[] = []
  const options = {
    device: 'cpu',
    threads: 1,
    passTimeoutMs: 10_000,
    log: (_: string, line: string) => log.push(line)
  } as const
  const denoiser = await RemoteDenoiser.start(toys.mixture, { ...options, ...changes })
  t.teardown(() => denoiser.close())
  return { denoiser, log }
}

/** Process ids of this process's children that run a denoiser. */
async function children(): Promise<number[]> {
  const ids = (await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8'))
    .split(' ')
    .filter(Boolean)
  const commands = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return ids.filter((_, i) => commands[i]!.includes('denoiser-process')).map(Number)
}

const same = (t: Test, a: Revealed, b: Revealed) => {
  for (const key of ['tokens', 'probabilities', 'alternativeTokens'] as const) t.same(a[key], b[key])
}

t.test('passes run in order, and give what they should', async (t) => {
  const { denoiser } = await start(t)
  t.ok(denoiser.ready)
  t.equal(denoiser.device, 'cpu')
  const all = await Promise.all([denoiser.run(pass), denoiser.run(pass), denoiser.run(pass)])
  t.same(Array.from(all[0]!.tokens), golden['toy-mixture'].passes[0]!.expected.revealed)
  same(t, all[1]!, all[0]!)
  same(t, all[2]!, all[0]!)
})

t.test('a killed process costs its pass, and the same pass gives the same from its successor', async (t) => {
  const { denoiser } = await start(t)
  const before = await denoiser.run(pass)
  const [child] = await children()
  process.kill(child!, 'SIGSTOP') // so that the pass is surely under way
  const lost = denoiser.run(pass)
  const waiting = denoiser.run(pass)
  process.nextTick(() => process.kill(child!, 'SIGKILL'))
  await t.rejects(lost, DenoiserLost)
  same(t, await waiting, before)
  t.equal(denoiser.restarts, 1)
  t.not((await children())[0], child)
})

t.test('a hung process is killed and replaced', async (t) => {
  const { denoiser, log } = await start(t, { passTimeoutMs: 300 })
  const before = await denoiser.run(pass)
  process.kill((await children())[0]!, 'SIGSTOP')
  await t.rejects(denoiser.run(pass), DenoiserLost)
  same(t, await denoiser.run(pass), before)
  t.match(log.join('\n'), /longer than 300 ms/)
})

t.test('a pass that the graph refuses fails alone', async (t) => {
  const { denoiser } = await start(t)
  await t.rejects(denoiser.run({ ...pass, rows: pass.rows.map(() => 1e6) }), { name: 'Error' })
  t.equal((await denoiser.run(pass)).tokens.length, pass.rows.length)
  t.equal(denoiser.restarts, 0)
})

t.test('closing ends the process and what waits', async (t) => {
  const { denoiser } = await start(t)
  process.kill((await children())[0]!, 'SIGSTOP')
  const [running, waiting] = [denoiser.run(pass), denoiser.run(pass)]
  const ends = Promise.all([t.rejects(running), t.rejects(waiting)])
  await denoiser.close()
  await ends
  t.same(await children(), [])
})

t.test('auto falls back to the CPU and says why; cuda is refused in one line', async (t) => {
  const { denoiser } = await start(t, { device: 'auto' })
  t.equal(denoiser.device, 'cpu')
  t.match(denoiser.fallback, /CUDA provider/)
  await t.rejects(start(t, { device: 'cuda' }), {
    name: 'DeviceError',
    message: /^cuda cannot be used: [^\n]+$/
  })
})

t.test('a folder that cannot be served is refused before a process starts', async (t) => {
  await t.rejects(
    RemoteDenoiser.start('test/fixtures', { device: 'cpu', threads: 1, passTimeoutMs: 1000, log: () => {} }),
    {
      name: 'ModelError'
    }
  )
  t.same(await children(), [])
})
