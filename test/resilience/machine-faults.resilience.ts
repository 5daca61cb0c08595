/** A machine that has no room for logs, no file descriptors, or a clock that jumps. */
import { execFileSync } from 'node:child_process'
import { existsSync, openSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { startServer, startServerWith, TOYS } from '../integration/server-process.js'
import { connection } from './connection.js'
import { atRest, descriptors, metric, textOf, watched } from './server-watch.js'
import { trial, untried } from './trial.js'

const flags = [...TOYS, '--max-text-tokens', '1000']
const request = { model: 'toy-mixture', prompt: ' red', max_tokens: 300, steps: 300, seed: 5 }
const ASKED = 50

/** Asks again and again, for more than the text where that should not change it. What differs, or does not come, is lost. */
async function keepAsking(url: string, more = {}) {
  const lost: string[] = []
  const expected = await textOf(url, request)
  const health = await watched(url, async () => {
    for (let n = 0; n < ASKED; n++) {
      const text = await textOf(url, { ...request, ...more }).catch(String)
      if (text !== expected) lost.push(text)
    }
  })
  return { times: ASKED, lost: [...lost, ...health.lost] }
}

trial('a disk that is full for the log (standard error is /dev/full)', 'texts go on', async (t) => {
  const { url } = await startServerWith(t, { stderr: openSync('/dev/full', 'w') }, ...flags)
  return keepAsking(url)
})

trial('a reader of the log that goes away', 'texts go on', async (t) => {
  const { url, child } = await startServer(t, ...flags)
  child.stderr!.destroy()
  return keepAsking(url)
})

const clock = 'a clock that jumps by 400 days, forwards and back, every 20 ms'
const libraries = '/usr/lib'
const faketime = await findLibrary('libfaketime.so.1')
if (!faketime) untried(clock, 'no libfaketime')
else
  trial(clock, 'texts and deadlines do not notice', async (t) => {
    const file = join(t.testdir({ offset: '+0' }), 'offset')
    const env = {
      LD_PRELOAD: faketime,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1'
    }
    const { url } = await startServerWith(t, { env }, ...flags)
    const years = new Set<number>()
    let asking = true
    const jump = async () => {
      for (let n = 0; asking; n++) {
        await writeFile(file, n % 2 === 0 ? '+400d' : '-400d')
        const answer = await fetch(`${url}/health/live`)
        years.add(new Date(answer.headers.get('date')!).getFullYear())
        await setTimeout(20)
      }
    }
    const jumping = jump()
    const found = await keepAsking(url, { deadline_ms: 60_000 }) // should it strike, the text is another
    asking = false
    await jumping
    t.ok(years.size > 1, 'the server saw the clock jump')
    return found
  })

const SPARE = 20
const UNDER_WAY = 20
const exhausted = `file descriptors used up by 200 connections, the denoisers killed meanwhile, ${UNDER_WAY} texts under way`
if (!existsSync('/usr/bin/prlimit')) untried(exhausted, 'no prlimit')
else
  trial(
    exhausted,
    'the texts come out the same, or say why not; the server serves again as soon as there are some',
    async (t) => {
      const server = await startServer(t, ...flags)
      const { url, child } = server
      const ask = () => Array.from({ length: UNDER_WAY }, (_, seed) => textOf(url, { ...request, seed }))
      const expected = await Promise.all(ask())
      const lost: string[] = []
      let told = 0
      const rounds = 4
      for (let round = 0; round < rounds; round++) {
        const texts = Promise.allSettled(ask())
        while ((await metric(url, 'fewstep_running_sequences')) < UNDER_WAY) await setTimeout(5)
        const most = (await descriptors(server)) + SPARE
        execFileSync('prlimit', ['--pid', String(child.pid), `--nofile=${most}:`])
        const sockets = await Promise.all(Array.from({ length: 200 }, () => connection(url)))
        for (const pid of await server.denoisers()) process.kill(pid, 'SIGKILL')
        await setTimeout(300)
        for (const socket of sockets) socket.destroy()
        while (!(await fetch(`${url}/health/ready`).catch(() => undefined))?.ok) await setTimeout(20)
        for (const [seed, text] of (await texts).entries()) {
          if (text.status === 'rejected' && /500 .*denoiser_failed/.test(text.reason)) told++
          else if (text.status === 'rejected') lost.push(String(text.reason))
          else if (text.value !== expected[seed]) lost.push(`another text for seed ${seed}`)
        }
        if ((await textOf(url, { ...request, seed: 0 }).catch(String)) !== expected[0])
          lost.push('another text afterwards')
        if (child.exitCode !== null) lost.push('the server ended')
      }
      await atRest(url)
      return { times: rounds, lost, note: `${told} texts were told denoiser_failed` }
    }
  )

async function findLibrary(name: string): Promise<string | undefined> {
  const folders = await readdir(libraries)
  return folders.map((folder) => join(libraries, folder, 'faketime', name)).find(existsSync)
}
