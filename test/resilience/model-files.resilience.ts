/** Files of a model that are missing, cut short, or have one bit flipped: before the start, and under a running server. */
import { execFile } from 'node:child_process'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { loadManifest, type Manifest } from '../../src/denoiser/manifest.js'
import { post, startServer } from '../integration/server-process.js'
import { textOf, watched } from './server-watch.js'
import { trial } from './trial.js'

const original = 'test/fixtures/models/toy-mixture'
const weights = 'denoiser.onnx'
const places = (count: number, length: number) =>
  Array.from({ length: count }, (_, i) => Math.floor(((i * 0.618034) % 1) * length))
const flipped = (bytes: Buffer, place: number) => {
  const copy = Buffer.from(bytes)
  copy[place]! ^= 1 << (place % 8)
  return copy
}

/** What the server says before it ends, or nothing where it would serve. */
async function refusal(folder: string): Promise<string | undefined> {
  return loadManifest(folder).then(
    () => undefined,
    (error: Error) => error.message
  )
}

trial(
  'weights missing, cut short anywhere, or with one bit flipped anywhere',
  'refused in one line that names the file, before the port opens',
  async (t) => {
    const folder = t.testdir()
    await cp(original, folder, { recursive: true })
    const path = join(folder, weights)
    const bytes = await readFile(path)
    const lost: string[] = []
    const harms: [what: string, harm: () => Promise<void>][] = [
      ['missing', () => rm(path)],
      ...places(50, bytes.length).map((at): [string, () => Promise<void>] => [
        `cut at ${at}`,
        () => writeFile(path, bytes.subarray(0, at))
      ]),
      ...places(500, bytes.length).map((at): [string, () => Promise<void>] => [
        `flipped at ${at}`,
        () => writeFile(path, flipped(bytes, at))
      ])
    ]
    for (const [what, harm] of harms) {
      await harm()
      const said = await refusal(folder)
      if (!said?.startsWith(path) || said.includes('\n')) lost.push(`${what}: ${said}`)
    }
    const serve = ['dist/cli.js', 'serve', '--port', '0', '--device', 'cpu', '--model', folder]
    const ended = await promisify(execFile)(process.execPath, serve).catch((error) => error)
    if (ended.code !== 1 || ended.stderr.trim().split('\n').length !== 1) lost.push(ended.stderr)
    return { times: harms.length + 1, lost, note: 'by size, then by SHA-256' }
  }
)

trial(
  'model.json with one bit flipped anywhere',
  'refused in one line that names it, or it means the same but for prose and numbers that nothing checks',
  async (t) => {
    const folder = t.testdir()
    await cp(original, folder, { recursive: true })
    const path = join(folder, 'model.json')
    const bytes = await readFile(path)
    const before = await loadManifest(folder)
    const lost: string[] = []
    const changed = new Map<string, number>()
    for (let at = 0; at < bytes.length; at++) {
      await writeFile(path, flipped(bytes, at))
      const said = await refusal(folder)
      if (said === undefined) {
        const after = JSON.parse(await readFile(path, 'utf8')) as Manifest
        for (const field of Object.keys(after) as (keyof Manifest)[]) {
          if (JSON.stringify(after[field]) !== JSON.stringify(before[field]))
            changed.set(field, (changed.get(field) ?? 0) + 1)
        }
      } else if (!said.startsWith(folder) || said.includes('\n')) lost.push(`${at}: ${said}`)
    }
    const note = `unnoticed: ${[...changed].map(([field, times]) => `${field} ${times}`).join(', ')}`
    return { times: bytes.length, lost, note }
  }
)

const request = { prompt: ' red', max_tokens: 300, steps: 300, seed: 5 }

trial(
  'weights of a running server taken away, cut short or with a bit flipped, then its denoiser killed',
  'texts are told so, never another text; all is well when the file is back',
  async (t) => {
    const folder = t.testdir()
    await cp(original, folder, { recursive: true })
    const path = join(folder, weights)
    const bytes = await readFile(path)
    const server = await startServer(t, '--model', folder, '--device', 'cpu', '--max-text-tokens', '1000')
    const { url } = server
    const expected = await textOf(url, request)
    const lost: string[] = []
    let told = 0
    const middle = Math.floor(bytes.length / 2)
    const harms = [
      () => rm(path),
      () => writeFile(path, bytes.subarray(0, middle)),
      ...places(4, bytes.length).map((at) => () => writeFile(path, flipped(bytes, at)))
    ]
    const health = await watched(url, async () => {
      for (const harm of harms) {
        await harm()
        for (const pid of await server.denoisers()) process.kill(pid, 'SIGKILL')
        await setTimeout(20)
        const answer = await post(`${url}/v1/completions`, request)
        const body = await answer.text()
        if (answer.status >= 500 && /"code":"\w+"/.test(body)) told++
        else
          lost.push(
            `${answer.status}: ${JSON.parse(body).choices?.[0].text === expected ? 'the same text, from files that changed' : body.slice(0, 200)}`
          )
        await writeFile(path, bytes)
        while (!(await fetch(`${url}/health/ready`)).ok) await setTimeout(50)
        if ((await textOf(url, request)) !== expected) lost.push('another text when the file was back')
      }
    })
    return { times: harms.length, lost: [...lost, ...health.lost], note: `${told} texts were told so` }
  }
)
