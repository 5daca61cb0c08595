/** A machine that has no room for logs, no file descriptors, or a clock that jumps. */
import { execFileSync } from 'node:child_process'
import { existsSync, openSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { post, startServer, startServerWith, TOYS } from '../integration/server-process.js'
import { connection } from './connection.js'
import { atRest, descriptors, textOf, watched } from './server-watch.js'
import { trial, untried } from './trial.js'

const flags = [...TOYS, '--max-text-tokens', '1000']
const request = { model: 'toy-mixture', prompt: ' red', max_tokens: 300, steps: 300, seed: 5 }
const ASKED = 50

/** Asks again and again. What differs, or does not come, is lost. */
async function keepAsking(url: string, between: (n: number) => Promise<unknown> = async () => {}) {
  const lost: string[] = []
  let expected: string | undefined
  const health = await watched(url, async () => {
    for (let n = 0; n < ASKED; n++) {
      await between(n)
      const text = await textOf(url, request).catch(String)
      expected ??= text
      if (text !== expected || text.startsWith('Error')) lost.push(text)
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

const clock = 'a clock that jumps by a day, forwards and back, before every text'
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
    const found = await keepAsking(url, async (n) => {
      await writeFile(file, n % 2 === 0 ? '+400d' : '-400d')
      const answer = await fetch(`${url}/health/live`)
      years.add(new Date(answer.headers.get('date')!).getFullYear())
      const timed = await post(`${url}/v1/completions`, { ...request, deadline_ms: 60_000 })
      const { choices } = (await timed.json()) as { choices: { finish_reason: string }[] }
      if (choices[0]!.finish_reason !== 'length') found.lost.push('a deadline struck')
    }).catch((error: Error) => ({ times: 0, lost: [String(error)] }))
    t.ok(years.size > 1, 'the server saw the clock jump')
    return found
  })

const SPARE = 20
const exhausted = 'file descriptors used up by 200 connections, a denoiser killed meanwhile'
if (!existsSync('/usr/bin/prlimit')) untried(exhausted, 'no prlimit')
else
  trial(exhausted, 'the server lives, and serves again as soon as there are some', async (t) => {
    const server = await startServer(t, ...flags)
    const { url, child } = server
    const expected = await textOf(url, request)
    const lost: string[] = []
    const rounds = 4
    for (let round = 0; round < rounds; round++) {
      const most = (await descriptors(server)) + SPARE
      execFileSync('prlimit', ['--pid', String(child.pid), `--nofile=${most}:`])
      const sockets = await Promise.all(Array.from({ length: 200 }, () => connection(url)))
      process.kill((await server.denoisers())[0]!, 'SIGKILL')
      await setTimeout(300)
      for (const socket of sockets) socket.destroy()
      while (!(await fetch(`${url}/health/ready`).catch(() => undefined))?.ok) await setTimeout(20)
      if ((await textOf(url, request).catch(String)) !== expected) lost.push('another text')
      if (child.exitCode !== null) lost.push('the server ended')
    }
    await atRest(url)
    return { times: rounds, lost }
  })

async function findLibrary(name: string): Promise<string | undefined> {
  const folders = await readdir(libraries)
  return folders.map((folder) => join(libraries, folder, 'faketime', name)).find(existsSync)
}
