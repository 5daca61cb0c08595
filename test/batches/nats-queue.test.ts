import { setMaxListeners } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { newFileId } from '../../src/batches/batch-id.js'
import { countBatches } from '../../src/batches/batch-metrics.js'
import { NatsQueue } from '../../src/batches/nats-queue.js'
import { parseNatsUrl } from '../../src/batches/nats-url.js'
import { ROOM } from '../../src/batches/nats-work.js'
import { Metrics } from '../../src/metrics.js'
import { all } from '../helper.js'
import { NatsServer, noNats } from './nats-server.js'
import { batchRecord, fileRecord, queuedLine, resultOf, testQueue } from './queue-contract.js'

if (noNats) {
  t.pass('', { skip: noNats })
  process.exit()
}

const { signal: never } = new AbortController()
setMaxListeners(0, never)

async function open(t: Test, url: string): Promise<NatsQueue> {
  const queue = await NatsQueue.open({ servers: [parseNatsUrl(url)!], replicas: 1 })
  t.teardown(() => queue.close())
  return queue
}

/** A batch that is under way. */
async function running(queue: NatsQueue): Promise<string> {
  const record = batchRecord()
  await queue.batches.put(record.batch.id, record)
  return record.batch.id
}

const one = (content: string | Uint8Array) => Readable.from([Buffer.from(content)])
const line = async (work: ReturnType<NatsQueue['take']>) => (await work)?.line

await testQueue(t, async (t) => open(t, (await NatsServer.start(t)).url))

t.test('servers share the lines, each is done by one', async (t) => {
  const { url } = await NatsServer.start(t)
  const [a, b] = [await open(t, url), await open(t, url)]
  const id = await running(a)
  for (let n = 1; n <= 20; n++) await a.add(queuedLine(id, n), never)
  const taken = []
  for (let n = 1; n <= 10; n++) taken.push(...(await Promise.all([a.take(never), b.take(never)])))
  t.same(
    taken.map((line) => line!.line).sort((x, y) => x - y),
    Array.from({ length: 20 }, (_, i) => i + 1)
  )
  for (const line of taken) await line!.settle(resultOf(line!.line))
  t.same(await b.counts(id), { completed: 20, failed: 0 })
})

t.test('what a server gives up is done by another at once', async (t) => {
  const { url } = await NatsServer.start(t)
  const [a, b] = [await open(t, url), await open(t, url)]
  const id = await running(a)
  await a.begin(id)
  await a.begin(id) // it waits already
  await a.add(queuedLine(id, 1), never)
  const stop = new AbortController()
  t.equal((await a.lead(stop.signal))!.batchId, id)
  t.equal(await line(a.take(stop.signal)), 1)
  stop.abort()
  t.equal((await b.lead(never))!.batchId, id)
  t.equal(await line(b.take(never)), 1)
  const end = new AbortController()
  const second = b.lead(end.signal)
  await setTimeout(100)
  end.abort()
  t.equal(await second, undefined)
})

t.test('what a dead server held comes again, what a living one holds does not', async (t) => {
  const { url, port } = await NatsServer.start(t)
  const [a, b] = [await open(t, url), await open(t, url)]
  const id = await running(a)
  await a.add(queuedLine(id, 1), never)
  const held = await a.take(never)
  await a.add(queuedLine(id, 2), never)
  const dead = await connect({ port })
  t.teardown(() => dead.close())
  const taken = await (await jetstream(dead).consumers.get('fewstep-lines', 'servers')).next()
  t.match(taken!.json(), { line: 2 })
  t.equal(await line(b.take(never)), 2)
  const stop = new AbortController()
  const more = b.take(stop.signal)
  await setTimeout(3000)
  stop.abort()
  t.equal(await more, undefined)
  await held!.settle(resultOf(1))
})

t.test('a line that comes again though it has a result is not done again', async (t) => {
  const { url } = await NatsServer.start(t)
  const queue = await open(t, url)
  const id = await running(queue)
  await queue.add(queuedLine(id, 1), never)
  await queue.add(queuedLine(id, 2), never)
  const stop = new AbortController()
  t.equal(await line(queue.take(stop.signal)), 1)
  await queue.settle(id, 1, resultOf(1)) // and its server ended before it said that it is done
  stop.abort()
  await setTimeout(100)
  t.equal(await line(queue.take(never)), 2)
  const end = new AbortController()
  const more = queue.take(end.signal)
  await setTimeout(500)
  end.abort()
  t.equal(await more, undefined)
})

t.test('NATS is killed and comes back: what it had said it stored is there, and work goes on', async (t) => {
  const nats = await NatsServer.start(t)
  const queue = await open(t, nats.url)
  const id = await running(queue)
  const fileId = newFileId()
  await queue.files.put(fileId, fileRecord(fileId))
  await queue.write(fileId, one('kept'))
  await queue.begin(id)
  for (let n = 1; n <= 3; n++) await queue.add(queuedLine(id, n), never)
  const held = await queue.take(never)
  await queue.settle(id, 1, resultOf(1))
  await (await queue.take(never))!.settle(resultOf(2))
  const lead = await queue.lead(never)
  const next = queue.lead(never).catch(() => queue.lead(never))
  while (!queue.trouble) {
    await nats.kill()
    await setTimeout(20)
  }
  t.equal(queue.trouble, 'NATS cannot be reached')
  await t.rejects(queue.counts(id), { message: 'NATS cannot be reached' })
  await t.rejects(queue.take(never), { message: 'NATS cannot be reached' })
  await nats.start()
  while (queue.trouble) await setTimeout(20)
  t.equal(await text(Readable.from(queue.read(fileId))), 'kept')
  t.equal((await queue.files.get(fileId))!.file.id, fileId)
  t.same(await queue.counts(id), { completed: 2, failed: 0 })
  while ((await line(queue.take(never))) !== 3); // the others may come again: what is done of a stream is noted later
  await held!.settle(resultOf(1, { custom_id: 'again' }))
  t.same(await queue.result(id, 1), resultOf(1))
  await lead!.end()
  const other = await running(queue)
  await queue.begin(other)
  t.equal((await next)!.batchId, other)
})

t.test('the metrics are told though NATS hangs, or is gone', async (t) => {
  const nats = await NatsServer.start(t)
  const queue = await open(t, nats.url)
  const { registry } = new Metrics()
  countBatches(registry, queue)
  const id = await running(queue)
  const result = { response: null, error: { code: 'model_not_found', message: 'm', param: null, line: 1 } }
  await queue.settle(id, 1, resultOf(1, result))
  await queue.settle(id, 1, resultOf(1))
  const counted = 'fewstep_batch_lines_total{queue="nats",outcome="failed",code="model_not_found"} 1'
  const waiting = 'fewstep_batch_lines_waiting{queue="nats"} 1'
  const samples = async () => (await registry.metrics()).split('\n')
  const before = await samples()
  t.ok(before.includes(counted) && before.includes(waiting))
  nats.hang()
  const begun = performance.now()
  const hanging = await samples()
  t.ok(performance.now() - begun < 4000, 'sooner than NATS is given up')
  t.ok(hanging.includes(counted) && !hanging.includes(waiting))
  await nats.kill()
  while (!queue.trouble) await setTimeout(20)
  t.ok((await samples()).includes(counted))
})

t.test('who adds lines waits while many wait', async (t) => {
  const queue = await open(t, (await NatsServer.start(t)).url)
  const [full, other] = [await running(queue), await running(queue)]
  const fill = Array.from({ length: ROOM }, (_, i) => queue.add(queuedLine(full, i + 1), never))
  await Promise.all(fill)
  let added = false
  const adding = queue.add(queuedLine(full, 5000), never).then(() => {
    added = true
  })
  await queue.add(queuedLine(other, 1), never)
  await setTimeout(200)
  t.notOk(added)
  const taken = await queue.take(never)
  await taken!.settle(resultOf(taken!.line))
  await adding
  const stop = new AbortController()
  const late = queue.add(queuedLine(full, 5001), stop.signal)
  stop.abort()
  await t.rejects(late, { name: 'AbortError' })
  await queue.clear(full)
  t.equal((await queue.take(never))!.batchId, other)
})

t.test('what no message holds is refused: a line, an answer', async (t) => {
  const queue = await open(t, (await NatsServer.start(t)).url)
  const id = await running(queue)
  const long = queuedLine(id, 1)
  Object.assign(long.request.body, { prompt: 'x'.repeat(1024 * 1024) })
  await queue.add(long, never)
  const response = { status_code: 200, request_id: 'r', body: 'x'.repeat(1024 * 1024) }
  await queue.settle(id, 2, resultOf(2, { response }))
  for (const n of [1, 2]) {
    t.match(await queue.result(id, n), {
      custom_id: `${n}`,
      error: {
        code: 'body_too_large',
        message: /^line \d: expected .+ at most 1047552 bytes.+, got 1048\d{3}$/
      }
    })
  }
  t.same(await queue.counts(id), { completed: 0, failed: 2 })
})

t.test('a record is asked for by its whole name: no part of it stands for others', async (t) => {
  const queue = await open(t, (await NatsServer.start(t)).url)
  const id = newFileId()
  await queue.files.put(id, fileRecord(id))
  for (const wild of ['*', '>', '', 'a.', 'a b', 'a\n']) {
    await t.rejects(queue.files.get(wild), { message: /expected a key/ })
    await t.rejects(queue.files.put(wild, fileRecord()), { message: /expected a key/ })
    await t.rejects(queue.files.delete(wild), { message: /expected a key/ })
  }
  t.equal((await queue.files.get(id))!.file.id, id)
})

t.test('of two that write a file at once one fails, and the file is that of the other', async (t) => {
  const queue = await open(t, (await NatsServer.start(t)).url)
  const id = newFileId()
  const content = (letter: string) => one(letter.repeat(300_000))
  const ends = await Promise.allSettled(['a', 'b'].map((letter) => queue.write(id, content(letter))))
  const winner = ends.findIndex(({ status }) => status === 'fulfilled')
  t.equal(ends.filter(({ status }) => status === 'rejected').length, 1)
  t.equal(await text(Readable.from(queue.read(id))), 'ab'[winner]!.repeat(300_000))
})

t.test('what is deleted and what has ended takes no room', async (t) => {
  const { url, port } = await NatsServer.start(t)
  const queue = await open(t, url)
  const nats = await connect({ port })
  t.teardown(() => nats.close())
  const { streams } = await jetstreamManager(nats)
  const sizes = async () => {
    const sizes: Record<string, number> = {}
    for await (const { config, state } of streams.list()) sizes[config.name] = state.messages
    return sizes
  }
  const empty = await sizes()
  const id = await running(queue)
  const fileId = newFileId()
  for (const letter of ['a', 'b']) await queue.write(fileId, one(letter.repeat(200_000)))
  await queue.files.put(fileId, fileRecord(fileId))
  await queue.begin(id)
  const lead = await queue.lead(never)
  await queue.settle(id, 1, resultOf(1))
  t.match(await sizes(), { 'fewstep-contents': 3, 'fewstep-files': 1, [`fewstep-results-${id}`]: 1 })
  await queue.batches.change(id, (now) => batchRecord(now.batch.id, { status: 'completed' }))
  await lead!.end()
  await queue.settle(id, 2, resultOf(2)) // too late
  await queue.batches.delete(id)
  await queue.files.delete(fileId)
  await queue.files.delete(fileId)
  await queue.erase(fileId)
  t.same(await sizes(), empty)
})

t.test('a server that starts takes up what one left that ended suddenly', async (t) => {
  const { url } = await NatsServer.start(t)
  const first = await open(t, url)
  const [left, over] = [batchRecord(), batchRecord(undefined, { status: 'completed' })]
  for (const record of [left, over]) await first.batches.put(record.batch.id, record)
  const now = Date.now
  Date.now = () => now() - 2 * 3_600_000
  const [wanted, forgotten] = [newFileId(), newFileId()]
  Date.now = now
  const young = newFileId()
  for (const id of [wanted, forgotten, young]) await first.write(id, one(id))
  await first.files.put(wanted, fileRecord(wanted))
  const second = await open(t, url)
  t.equal((await second.lead(never))!.batchId, left.batch.id)
  for (const id of [wanted, young]) t.equal(await text(Readable.from(second.read(id))), id)
  await t.rejects(text(Readable.from(second.read(forgotten))))
})

t.test('a NATS server that cannot be used is refused in a line, without what is secret', async (t) => {
  const plain = await NatsServer.start(t, [])
  const guarded = await NatsServer.start(t, ['--jetstream', '--user', 'me', '--pass', 'se/cret'])
  const where = guarded.url.slice('nats://'.length)
  await all((await open(t, `nats://me:se%2Fcret@${where}`)).batches.list())
  const refused = async (url: string, reason: string) => {
    const server = url.slice(url.indexOf('@') + 1).replace('nats://', '')
    await t.rejects(open(t, url), {
      name: 'ConfigError',
      message: `--nats: expected a NATS server with JetStream, got ${server}: ${reason}`
    })
  }
  await refused(`nats://me:wrong@${where}`, 'Authorization Violation')
  await refused(plain.url, 'jetstream is not enabled')
  await refused('nats://127.0.0.1:1', 'connection refused')
})
