import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { DenoiserLost } from '../../src/denoiser/denoiser.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { type DenoiserOptions, RemoteDenoiser } from '../../src/denoiser/remote-denoiser.js'
import { copyToy, golden, toPass } from './toy.js'

const given = golden['toy-mixture'].passes[0]!
const pass = toPass(given, true)

async function start(t: Test, changes: Partial<DenoiserOptions>, folder: string) {
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

/** Process ids of this process's children that run a program of this name. */
async function children(program: string): Promise<number[]> {
  const ids = (await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')).split(' ')
  const commands = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return ids.filter((_, i) => commands[i]!.includes(program)).map(Number)
}

async function backInService(denoiser: RemoteDenoiser): Promise<void> {
  while (!denoiser.ready) await setTimeout(10)
}

t.test('a process that cannot be replaced is out of service, in one line, until it can', async (t) => {
  const folder = await copyToy(t)
  const { denoiser, log } = await start(t, {}, folder)
  const graph = join(folder, 'denoiser.onnx')
  await rename(graph, `${graph}.away`)
  process.kill((await children('denoiser-process'))[0]!, 'SIGKILL')
  await t.rejects(denoiser.run(pass), DenoiserLost)
  const reason = /its process could not be replaced: denoiser\.onnx: [^\n]+$/
  await t.rejects(denoiser.run(pass), { message: reason })
  t.match(denoiser.outage, { reason })
  const logged = `error toy-mixture: out of service: its process could not be replaced: ${graph}: `
  t.equal(log.at(-1)!.slice(0, logged.length), logged, 'the log says where')
  t.notOk(denoiser.ready)
  await rename(`${graph}.away`, graph)
  await backInService(denoiser)
  t.same(Array.from((await denoiser.run(pass)).tokens), given.expected.revealed)
  t.match(log.at(-1), 'info toy-mixture: in service again')
})

for (const [fault, reason] of [
  ['crash', /^code 7$/],
  ['failure', /^x: no memory$/]
] as const) {
  t.test(
    `${fault} at every pass: out of service, until a trial pass of a fresh process succeeds`,
    async (t) => {
      const folder = await copyToy(t)
      const program = new URL('./breakable-process.js', import.meta.url)
      const { denoiser } = await start(t, { program }, folder)
      const broken = join(folder, 'broken')
      await writeFile(broken, fault)
      let failed = 0
      while (!denoiser.outage) await denoiser.run(pass).catch(() => failed++)
      t.equal(failed, 6)
      t.match(denoiser.outage.reason, reason)
      t.notOk(denoiser.ready)
      await t.rejects(denoiser.run(pass), { name: 'Error', message: /^out of service: [^/]+$/ })
      const { restarts } = denoiser
      while (denoiser.restarts === restarts) await setTimeout(10)
      t.ok(denoiser.outage, 'the trial fails')
      await rm(broken)
      await backInService(denoiser)
      t.same(Array.from((await denoiser.run(pass)).tokens), given.expected.revealed)
      t.equal((await children('breakable-process')).length, 1)
    }
  )
}

t.test('closing during a trial ends its process', async (t) => {
  const folder = await copyToy(t)
  const program = new URL('./breakable-process.js', import.meta.url)
  const { denoiser } = await start(t, { program }, folder)
  await writeFile(join(folder, 'broken'), 'failure')
  while (!denoiser.outage) await denoiser.run(pass).catch(() => {})
  const { restarts } = denoiser
  while (denoiser.restarts === restarts) await setTimeout(10)
  await denoiser.close()
  t.same(await children('breakable-process'), [])
})
