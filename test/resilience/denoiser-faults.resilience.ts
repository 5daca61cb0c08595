/** A denoiser's process that is killed, stopped, starved, or says what it should not. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import {
  post,
  type ServerProcess,
  startServer,
  startServerWith,
  TOYS
} from '../integration/server-process.js'
import { atRest, metric, residentMib, textOf, watched } from './server-watch.js'
import { trial, untried } from './trial.js'

const flags = [...TOYS, '--max-text-tokens', '1000', '--log-level', 'error']
const requests = Array.from({ length: 20 }, (_, seed) => ({
  model: seed % 2 === 0 ? 'toy-mixture' : 'toy-product',
  prompt: ' red',
  max_tokens: 600,
  steps: 600,
  seed
}))

async function ready({ url }: ServerProcess): Promise<void> {
  while (!(await fetch(`${url}/health/ready`)).ok) await setTimeout(20)
}

/** Texts under way while `hurt` happens again and again to each process. They are the same as without, or lost. */
async function whileHurt(server: ServerProcess, hurts: number, hurt: (pid: number) => void) {
  const { url } = server
  const expected = await Promise.all(requests.map((request) => textOf(url, request)))
  let done = 0
  const lost: string[] = []
  const health = await watched(url, async () => {
    while (done < hurts) {
      const texts = Promise.allSettled(requests.map((request) => textOf(url, request)))
      let writing = true
      const written = texts.finally(() => {
        writing = false
      })
      while (writing) {
        await setTimeout((done * 7919) % 211)
        if (!writing) break
        const hurtOnes = await server.denoisers()
        for (const pid of hurtOnes) hurt(pid)
        done++
        // A stopped one that has nothing to do is not noticed; whoever is loading has three minutes.
        while (writing && hurtOnes.some((pid) => existsSync(`/proc/${pid}`))) await setTimeout(10)
        await ready(server)
      }
      for (const [i, text] of (await written).entries()) {
        if (text.status === 'rejected') lost.push(String(text.reason))
        else if (text.value !== expected[i]) lost.push(`another text for seed ${i}`)
      }
    }
  })
  // Two models, each hurt so often: else the faults were not felt.
  const restarts = await metric(url, 'fewstep_denoiser_restarts_total')
  if (restarts < done) lost.push(`${restarts} processes were replaced`)
  return { times: done, lost: [...lost, ...health.lost] }
}

const same = `the ${requests.length} texts under way come out the same`

trial('all denoisers killed (SIGKILL), again as soon as their successors are there', same, async (t) => {
  return whileHurt(await startServer(t, ...flags), 40, (pid) => process.kill(pid, 'SIGKILL'))
})

trial('all denoisers stopped (SIGSTOP), given up after 500 ms', same, async (t) => {
  const server = await startServer(t, ...flags, '--pass-timeout-ms', '500')
  return whileHurt(server, 12, (pid) => {
    process.kill(pid, 'SIGSTOP')
    t.teardown(() => signalled(pid, 'SIGCONT')) // one that is stopped does not see its server end
  })
})

trial('all denoisers write what is no message where their answers go (3 kinds)', same, async (t) => {
  const env = { NODE_OPTIONS: `--import=${new URL('garbled-answers.js', import.meta.url)}` }
  const server = await startServerWith(t, { env }, ...flags)
  return whileHurt(server, 20, (pid) => process.kill(pid, 'SIGUSR2'))
})

const starved = 'all denoisers out of memory (an address space that may not grow)'
const prlimit = findPrlimit()
if (!prlimit) untried(starved, 'no prlimit')
else
  trial(starved, `${same}, or say why not`, async (t) => {
    const server = await startServer(t, ...flags)
    const found = await whileHurt(server, 12, (pid) => {
      execFileSync('prlimit', ['--pid', String(pid), '--as=1'])
    })
    const told = found.lost.filter((loss) => /500 .*denoiser_failed/.test(loss))
    const lost = found.lost.filter((loss) => !told.includes(loss))
    return { ...found, lost, note: `${told.length} texts were told denoiser_failed` }
  })

trial(
  'denoisers that die as soon as they live, for 10 s',
  'texts are told so or right, health stays green, all is well within 15 s of the end',
  async (t) => {
    const server = await startServer(t, ...flags)
    const { url } = server
    const request = { ...requests[0]!, max_tokens: 20, steps: 20 }
    const expected = await textOf(url, request)
    const lost: string[] = []
    let kills = 0
    let told = 0
    const health = await watched(url, async () => {
      const until = performance.now() + 10_000
      const ask = async () => {
        while (performance.now() < until) {
          const answer = await post(`${url}/v1/completions`, request)
          const body = await answer.text()
          if (answer.status >= 500 && /"code":"\w+"/.test(body)) told++
          else if (answer.status !== 200 || JSON.parse(body).choices[0].text !== expected) lost.push(body)
        }
      }
      const asked = Promise.all([ask(), ask(), ask()])
      while (performance.now() < until) {
        for (const pid of await server.denoisers()) {
          if (signalled(pid, 'SIGKILL')) kills++
        }
        await setTimeout(20)
      }
      await asked
      const begun = performance.now()
      await ready(server)
      if ((await textOf(url, request)) !== expected) lost.push('another text afterwards')
      if (performance.now() - begun > 15_000) lost.push(`back after ${performance.now() - begun} ms`)
    })
    t.ok(told > 0, 'the faults were felt')
    return { times: kills, lost: [...lost, ...health.lost], note: `${told} texts were told so` }
  }
)

trial(
  'denoisers that print garbage: 256 MiB without the end of a line, bytes that are no UTF-8',
  'texts go on; 128 MiB more at most',
  async (t) => {
    const quiet = await startServer(t, ...flags, '--log-level', 'fatal')
    const request = requests[0]!
    const expected = await textOf(quiet.url, request)
    const before = await residentMib(quiet.child.pid!)
    const env = { NODE_OPTIONS: `--import=${new URL('garbage.js', import.meta.url)}` }
    const { url, child } = await startServerWith(t, { env }, ...flags, '--log-level', 'fatal')
    const lost: string[] = []
    const health = await watched(url, async () => {
      for (let i = 0; i < 60; i++) {
        if ((await textOf(url, request)) !== expected) lost.push('another text')
        await setTimeout(100)
      }
    })
    await atRest(url)
    const grown = Math.round((await residentMib(child.pid!)) - before)
    if (grown > 128) lost.push(`${grown} MiB more`)
    t.equal(await metric(url, 'fewstep_denoiser_restarts_total'), 0)
    return { times: 256, lost: [...lost, ...health.lost], note: `${grown} MiB more` }
  }
)

/** False when it was gone before. */
function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

function findPrlimit(): boolean {
  try {
    execFileSync('prlimit', ['--version'])
    return true
  } catch {
    return false
  }
}
