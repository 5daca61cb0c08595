/** Bytes that are nearly HTTP. */
import fc from 'fast-check'
import { startServer, TOYS } from '../integration/server-process.js'
import { exchange, postBytes, statusesIn } from './connection.js'
import { SEED } from './seed.js'
import { descriptors, descriptorsFall, each, watched } from './server-watch.js'
import { trial } from './trial.js'

const body = '{"model": "toy-mixture", "prompt": " red", "max_tokens": 4, "seed": 1}'
const whole = postBytes('/v1/completions', body)
const chunked = (chunks: string) =>
  `POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`
/** Answers of 200 that there must be: nothing is learnt where all is refused. */
const MET = 500
const starts = [
  whole,
  chunked(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`),
  'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n',
  'GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(9)
]

type Change = (bytes: Buffer) => Buffer
const at = (place: number, bytes: Buffer) => Math.floor(place * bytes.length)
const inserted = fc.oneof(
  fc.constantFrom(
    '\r',
    '\n',
    '\r\n\r\n',
    '\0',
    ' ',
    '\t',
    ':',
    '\r\n x',
    '\xff\xfe',
    'Content-Length: 9\r\n'
  ),
  fc.string({ unit: 'binary', maxLength: 9 }),
  fc.nat(70_000).map((length) => 'x'.repeat(length)),
  fc.nat(3000).map((count) => 'a: b\r\n'.repeat(count)),
  fc.constantFrom('ffffffffffffffff\r\n', '-1\r\n', '0x4\r\n', '4;a="\r\n', '5\r\nabc\r\n')
)
const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(
    ([where, value]): Change =>
      (bytes) => {
        const changed = Buffer.from(bytes)
        changed[at(where, bytes)] = value
        return changed
      }
  ),
  fc.tuple(place, inserted).map(
    ([where, text]): Change =>
      (bytes) => {
        const index = at(where, bytes)
        return Buffer.concat([bytes.subarray(0, index), Buffer.from(text, 'latin1'), bytes.subarray(index)])
      }
  ),
  place.map(
    (where): Change =>
      (bytes) =>
        bytes.subarray(0, at(where, bytes))
  ),
  place.map(
    (where): Change =>
      (bytes) =>
        bytes.subarray(at(where, bytes))
  )
)
const garbled = fc
  .tuple(fc.constantFrom(...starts), fc.array(change, { maxLength: 4 }))
  .map(([start, changes]) => changes.reduce<Buffer>((bytes, next) => next(bytes), Buffer.from(start)))

trial(
  'garbled HTTP: bytes changed, put in, cut; broken chunks, headers up to 70 kB, requests one behind another',
  `no 5xx, every connection let go, nothing logged; what is whole is met, ${MET} times at least`,
  async (t) => {
    const server = await startServer(t, ...TOYS, '--log-level', 'error')
    let log = ''
    server.child.stderr!.on('data', (chunk) => {
      log += chunk
    })
    const lost: string[] = []
    const statuses: Record<number, number> = {}
    const cases = fc.sample(garbled, { numRuns: 5000, seed: SEED })
    const open = await descriptors(server)
    const health = await watched(server.url, () =>
      each(cases, 64, async (bytes) => {
        const whole = starts.find((start) => bytes.equals(Buffer.from(start)))
        const wanted = whole ? whole.split('HTTP/1.1').length - 1 : Number.NaN
        const isEnough = (received: Buffer) => statusesIn(received).length === wanted
        const { received, closed } = await exchange(server.url, bytes, whole ? 10_000 : 150, isEnough)
        const answers = statusesIn(received)
        const met = answers.length === wanted && answers.every((status) => status === 200)
        for (const status of answers) statuses[status] = (statuses[status] ?? 0) + 1
        if (!closed || answers.some((status) => status >= 500) || (whole && !met))
          lost.push(`${JSON.stringify(bytes.toString('latin1').slice(0, 300))}: ${received}`)
      })
    )
    t.equal(log, '')
    t.ok(statuses[200]! >= MET, `${statuses[200]} were met`)
    t.ok(await descriptorsFall(server, open + 4, 10_000), 'no connection stays') // two of fetch's own
    const note = `${JSON.stringify(statuses).replaceAll('"', '')}, event loop busy ${health.lagMs} ms at most`
    return { times: cases.length, lost: [...lost, ...health.lost], note }
  }
)

const hidden = 'GET /hidden HTTP/1.1\r\nhost: localhost\r\n\r\n'
const head = 'POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
/** Where a proxy may see one request and the server two. */
const ambiguous = [
  `${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  `${head}content-length: 0\r\ncontent-length: 40\r\n\r\n${hidden}`,
  `${head}content-length: +0\r\n\r\n${hidden}`,
  `${head}content-length: 0, 40\r\n\r\n${hidden}`,
  `${head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
  `${head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
  `${head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
  `${head}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n${hidden}`,
  `${head}transfer-encoding:\n chunked\r\n\r\n0\r\n\r\n${hidden}`,
  `${head}transfer-encoding: chunked\r\n\r\n0\n\n${hidden}`,
  `${head}transfer-encoding: chunked\r\n\r\n0 \r\n\r\n${hidden}`,
  `${head}transfer-encoding: chunked\r\n\r\n1\r\n0aa\r\n0\r\n\r\n${hidden}`,
  `${head}content-length\r\n: 0\r\n\r\n${hidden}`,
  `${head}\r\ncontent-length: 40\n\n${hidden}`.replace('\r\n\r\n', '\r\r\n'),
  ` ${head}content-length: 0\r\n\r\n${hidden}`
]

trial('requests that a proxy may read as one and the server as two', 'no second answer', async (t) => {
  const { url } = await startServer(t, ...TOYS)
  const lost: string[] = []
  await each(ambiguous, 8, async (bytes) => {
    const { received } = await exchange(url, bytes, 500)
    const statuses = statusesIn(received)
    if (statuses.length !== 1 || statuses[0] !== 400) lost.push(`${JSON.stringify(bytes)}: ${statuses}`)
  })
  return { times: ambiguous.length, lost }
})
