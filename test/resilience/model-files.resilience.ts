/** Files of a model that are missing, cut short, or have one bit flipped: before the start, and under a running server. */
import { execFile } from 'node:child_process'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { loadManifest, type Manifest, ManifestSchema } from '../../src/denoiser/manifest.js'
import { loadTokenizer } from '../../src/tokenizer/gpt2-tokenizer.js'
import { post, startServer } from '../integration/server-process.js'
import { textOf, watched } from './server-watch.js'
import { trial } from './trial.js'

const original = 'test/fixtures/models/toy-mixture'
const weights = 'denoiser.onnx'
const tokenizer = 'models/tokenizers/gpt2'
const places = (count: number, length: number) =>
  Array.from({ length: count }, (_, i) => Math.floor(((i * 0.618034) % 1) * length))
const flipped = (bytes: Buffer, place: number, bit = place % 8) => {
  const copy = Buffer.from(bytes)
  copy[place]! ^= 1 << bit
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
  'model.json with one bit flipped, each bit of each byte',
  'refused in one line that names it, or what is served is the same',
  async (t) => {
    const folder = t.testdir()
    await cp(original, folder, { recursive: true })
    const path = join(folder, 'model.json')
    const bytes = await readFile(path)
    const before = withoutChecksum(await loadManifest(folder))
    const lost: string[] = []
    let served = 0
    for (const [at, bit] of bitsOf(bytes)) {
      await writeFile(path, flipped(bytes, at, bit))
      const after = await loadManifest(folder).catch((error: Error) => error)
      if (after instanceof Error) {
        if (!after.message.startsWith(folder) || after.message.includes('\n'))
          lost.push(`${at}: ${after.message}`)
      } else {
        served++
        if (JSON.stringify(withoutChecksum(after)) !== JSON.stringify(before))
          lost.push(`${at}: ${JSON.stringify(after)}`)
      }
    }
    return { times: 8 * bytes.length, lost, note: `${served} times served, as before` }
  }
)

/** What is served: fields that have a meaning. A flip in the checksum's name leaves them alone. */
function withoutChecksum(manifest: Manifest): Partial<Manifest> {
  const fields = Object.keys(ManifestSchema.properties) as (keyof Manifest)[]
  return Object.fromEntries(
    fields.filter((field) => field !== 'checksum').map((field) => [field, manifest[field]])
  )
}

function bitsOf(bytes: Buffer): [at: number, bit: number][] {
  return [...bytes.keys()].flatMap((at) => Array.from({ length: 8 }, (_, bit): [number, number] => [at, bit]))
}

trial(
  'files of the tokenizer cut short or with one bit flipped anywhere',
  'refused in one line that names the file',
  async (t) => {
    const folder = t.testdir()
    await cp(tokenizer, folder, { recursive: true })
    const lost: string[] = []
    let times = 0
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'SHA256SUMS']) {
      const path = join(folder, name)
      const bytes = await readFile(path)
      for (const at of places(50, bytes.length)) {
        for (const harmed of [bytes.subarray(0, at), flipped(bytes, at)]) {
          await writeFile(path, harmed)
          const said = await loadTokenizer(folder).catch((error: Error) => error.message)
          const isRefusal = typeof said === 'string' && said.startsWith(folder) && !said.includes('\n')
          if (!isRefusal) lost.push(`${name} at ${at}: ${typeof said === 'string' ? said : 'loaded'}`)
          times++
        }
      }
      await writeFile(path, bytes)
    }
    return { times, lost, note: 'by SHA-256' }
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
