import { once } from 'node:events'
import { openSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Completion } from '../../src/answers.js'
import { copyToy } from '../denoiser/toy.js'
import { parseEvents, Socket } from '../helper.js'
import { post, startServer, startServerWith, TOYS } from './server-process.js'

const request = { model: 'toy-mixture', prompt: ' red', max_tokens: 900, steps: 900, seed: 11 }

t.test('a denoiser killed again and again costs time, not texts', async (t) => {
  const { url, denoisers } = await startServer(t, ...TOYS, '--max-text-tokens', '1000')
  const write = async () => {
    const answer = (await (await post(`${url}/v1/completions`, request)).json()) as {
      choices: { text: string }[]
    }
    return answer.choices[0]!.text
  }
  const undisturbed = await write()
  let writing = true
  const disturbed = write().finally(() => {
    writing = false
  })
  const killed = new Set<number>()
  const alive = async () => (await denoisers()).filter((pid) => !killed.has(pid))
  const passes = async () =>
    Number(
      /fewstep_passes_total{model="toy-mixture"} (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())![1]
    )
  let kills = 0
  while (writing && kills < 6) {
    // A pass that is killed three times is given up.
    for (const before = await passes(); writing && (await passes()) === before; );
    for (const pid of await alive()) {
      process.kill(pid, 'SIGKILL')
      killed.add(pid)
    }
    kills++
    // Wait for the successors before the next blow.
    while (writing && (await alive()).length < 2) await new Promise(setImmediate)
    while (writing && !(await fetch(`${url}/health/ready`)).ok) await new Promise(setImmediate)
  }
  t.equal(await disturbed, undisturbed)
  t.ok(kills > 1, `killed ${kills} times`)
})

t.test('a model whose process cannot be replaced is refused at once, until it can', async (t) => {
  const folder = await copyToy(t)
  const { url, denoisers } = await startServer(t, '--model', folder, '--device', 'cpu')
  const graph = join(folder, 'denoiser.onnx')
  await rename(graph, `${graph}.away`)
  process.kill((await denoisers())[0]!, 'SIGKILL')
  const ready = async () => (await fetch(`${url}/health/ready`)).json() as Promise<{ status: string }>
  while ((await ready()).status !== 'unavailable') await setTimeout(20)
  t.match(await ready(), { models: [{ ready: false, outage: /: denoiser\.onnx/ }] })
  const refusal = await post(`${url}/v1/completions`, { prompt: ' red', max_tokens: 2 })
  t.equal(refusal.status, 503)
  t.ok(Number(refusal.headers.get('retry-after')) >= 1)
  t.ok(Number(refusal.headers.get('retry-after-ms')) >= 1000)
  t.match(await refusal.json(), {
    error: { code: 'unavailable', message: /toy-mixture[^/]*: denoiser\.onnx/ }
  })
  await rename(`${graph}.away`, graph)
  while ((await ready()).status !== 'ready') await setTimeout(20)
  t.equal((await post(`${url}/v1/completions`, { prompt: ' red', max_tokens: 2 })).status, 200)
})

t.test('a broken model folder is one line, before the port opens', async (t) => {
  await t.rejects(startServer(t, '--model', 'test/fixtures'), /model\.json/)
})

t.test(
  'a GPU that is not there is one clear line when it is asked for, and a fallback when not',
  async (t) => {
    await t.rejects(startServer(t, ...TOYS.slice(0, -1), 'cuda'), /cuda/i)
    const { url } = await startServer(t, ...TOYS.slice(0, -1), 'auto')
    const ready = await (await fetch(`${url}/health/ready`)).json()
    t.match(JSON.stringify(ready), /"device":"cpu"/)
  }
)

t.test('SIGTERM finishes what was accepted and refuses the rest', async (t) => {
  const { url, child } = await startServer(t, ...TOYS, '--max-text-tokens', '1000')
  const accepted = post(`${url}/v1/completions`, request)
  const events = await post(`${url}/v1/completions`, { ...request, stream: true })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  t.equal((await accepted).status, 200)
  t.match(await events.text(), /data: \[DONE\]/)
  t.equal(await exited, 0)
})

t.test('SIGTERM finishes what waits in the queue, too, for every kind of reader', async (t) => {
  const { url, child } = await startServer(t, ...TOYS, '--max-text-tokens', '1000', '--max-batch-tokens', '1')
  const text = { ...request, max_tokens: 250, steps: 900 }
  const write = async () => (await (await post(`${url}/v1/completions`, text)).json()) as Completion
  const undisturbed = (await write()).choices[0]!.text
  const exited = once(child, 'exit')
  const wholes = Array.from({ length: 4 }, write)
  const streams = Array.from({ length: 3 }, () => post(`${url}/v1/completions`, { ...text, stream: true }))
  const socket = await Socket.open(t, url)
  for (const id of ['a', 'b', 'c']) socket.send({ type: 'completion', id, request: text })
  // All ten are accepted: two run.
  const waiting = async () =>
    (await (await fetch(`${url}/metrics`)).text()).match(/^fewstep_queued_sequences.* 8$/m)
  while (!(await waiting())) await setTimeout(5)
  child.kill('SIGTERM')
  while ((await fetch(`${url}/health/ready`)).ok) await setTimeout(5)
  socket.send({ type: 'completion', id: 'late', request: text })
  t.match(await (await post(`${url}/v1/completions`, text)).json(), { error: { code: 'draining' } })
  for (const whole of wholes) t.equal((await whole).choices[0]!.text, undisturbed)
  for (const stream of streams) {
    const chunks = parseEvents(await (await stream).text()).slice(0, -1)
    t.equal(chunks.map(({ data }) => JSON.parse(data).choices[0].text).join(''), undisturbed)
  }
  let ended = 0
  const messages = await socket.readUntil(({ type }) => type === 'sequence-end' && ++ended === 3)
  for (const { type, text } of messages) if (type === 'sequence-end') t.equal(text, undisturbed)
  t.match(
    messages.find(({ type }) => type === 'error'),
    { id: 'late', error: { code: 'draining' } }
  )
  t.same(await exited, [0, null])
})

t.test('a log that cannot be written is lost, and nothing else', async (t) => {
  const full = await startServerWith(t, { stderr: openSync('/dev/full', 'w') }, ...TOYS)
  const unread = await startServer(t, ...TOYS)
  unread.child.stderr!.destroy()
  for (const { url } of [full, unread]) {
    for (let texts = 0; texts < 3; texts++) {
      t.equal((await post(`${url}/v1/completions`, { max_tokens: 3 })).status, 200)
    }
  }
})
