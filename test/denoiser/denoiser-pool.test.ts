import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { missingCudaProvider } from '../../src/denoiser/cuda-provider.js'
import { DenoiserLost, type Revealed } from '../../src/denoiser/denoiser.js'
import { DenoiserPool } from '../../src/denoiser/denoiser-pool.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { golden, toPass, toys } from './toy.js'

const given = golden['toy-mixture'].passes[0]!
const pass = toPass(given, true)
const values = ({ passMs, ...rest }: Revealed) => rest
const options = { device: 'cpu', threads: 1, passTimeoutMs: 60_000, log: () => {} } as const

async function startPool(t: Test, deviceIds: readonly number[]): Promise<DenoiserPool> {
  const pool = await DenoiserPool.start(toys.mixture, await loadManifest(toys.mixture), deviceIds, options)
  t.teardown(() => pool.close())
  return pool
}

/** Process ids of this process's children, in the order of their start. */
async function children(): Promise<number[]> {
  const ids = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
  return ids.trim().split(' ').map(Number)
}

t.test('passes are spread over the processes, and each gives the same', async (t) => {
  const pool = await startPool(t, [0, 1])
  t.match(pool, { parallel: 2, device: 'cpu', fallback: null, ready: true, restarts: 0 })
  const [first, second] = (await children()).slice(-2)
  process.kill(first!, 'SIGSTOP')
  const held = pool.run(pass)
  const free = values(await pool.run(pass)) // the other process answers
  t.same(Array.from(free.tokens), given.expected.revealed)
  process.kill(first!, 'SIGCONT')
  t.same(values(await held), free)

  t.test('while one is replaced, the other takes the passes', async (t) => {
    process.kill(second!, 'SIGSTOP')
    const passes = [pool.run(pass), pool.run(pass)]
    process.kill(second!, 'SIGKILL')
    const results = await Promise.allSettled(passes)
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    t.match(
      results.find(({ status }) => status === 'rejected'),
      { reason: DenoiserLost }
    )
    t.ok(pool.ready)
    t.equal(pool.readyProcesses, 1)
    t.same(values(await pool.run(pass)), free)
    t.equal(pool.restarts, 1)
  })
})

t.test('one device is the rule, number 0', async (t) => {
  t.equal((await startPool(t, [])).parallel, 1)
})

t.test(
  'a device that cannot be had ends all of them',
  missingCudaProvider() ? {} : { skip: 'there may be a GPU' },
  async (t) => {
    const before = (await children()).length
    const manifest = await loadManifest(toys.mixture)
    await t.rejects(DenoiserPool.start(toys.mixture, manifest, [0, 1], { ...options, device: 'cuda' }), {
      name: 'DeviceError'
    })
    t.equal((await children()).length, before)
  }
)
