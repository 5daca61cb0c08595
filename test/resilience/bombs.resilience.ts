/** Requests that cost little to send and, read without care, much to take. */
import { once } from 'node:events'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { startServer, startServerWith, TOYS } from '../integration/server-process.js'
import { metric, residentMib } from './server-watch.js'
import { type Found, trial } from './trial.js'

const MIB = 2 ** 20
/** What the server may take, garbage and all. */
const RESIDENT_MIB = 1024
/** So that garbage is collected: what is kept ends the server. */
const HEAP = { NODE_OPTIONS: '--max-old-space-size=512' }
const ROUNDS = 2
/** What it may answer to a body of 1 MiB. */
const ANSWER_MIB = 10
/** How long it may be busy with one request. */
const BUSY_MS = 1000

/** What reading a bomb without unpacking it may cost. */
const GROWTH_MIB = 50

const packed = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }
const inputs = (shape: string, data: string, more = '') =>
  `{"inputs":[{"name":"prompt","datatype":"BYTES","shape":${shape},"data":${data}}]${more}}`
const wide = (count: number, item: string) => `[${Array(count).fill(item).join()}]`
/** What takes the tokenizer longest for each of its 8,000 characters: runs that make few tokens. */
const costly = `${'-'.repeat(4000)} a `.repeat(2)
/** JSON up to the limit of a body. */
const bodies: Record<string, string> = {
  'an array in an array in an array': '['.repeat(MIB - 1),
  'the same, closed': '['.repeat(MIB / 2 - 99) + ']'.repeat(MIB / 2 - 99),
  'an object in an object in an object': '{"a":'.repeat(MIB / 6),
  'a hundred thousand unknown fields': `{${Array.from({ length: 90_000 }, (_, i) => `"f${i}":0`).join()}}`,
  'the same field again and again': `{${Array(90_000).fill('"steps":1').join()}}`,
  'a number of a million digits': `{"steps": ${'9'.repeat(MIB - 99)}}`,
  'a prompt of a million letters': JSON.stringify({ prompt: 'a'.repeat(MIB - 99) }),
  'a prompt of a million spaces': JSON.stringify({ prompt: ' '.repeat(MIB - 99) }),
  'a prompt of emoji': JSON.stringify({ prompt: '\u{1f9d1}\u200d'.repeat(MIB / 8) }),
  'a prompt of escapes': `{"prompt": "${'\\u0000'.repeat(MIB / 6 - 99)}"}`,
  'three hundred thousand prompts': `{"prompt": ${wide(300_000, '""')}}`,
  'half a million token ids': `{"prompt": ${wide(500_000, '1')}}`,
  'a template of a hundred thousand holes': `{"template": ${wide(80_000, '{"mask":1}')}}`,
  'a stop of a million letters': JSON.stringify({ prompt: ' red', stop: 'a'.repeat(MIB - 99) }),
  'prompts of words as long as may be': JSON.stringify({ prompt: Array(16).fill(costly), n: 1 }),
  'a prompt of such words, sixteen times': JSON.stringify({ prompt: costly.repeat(15), n: 16 }),
  'a prompt of more of them than may be': JSON.stringify({ prompt: costly.repeat(120) }),
  'a text to tokenize of a million letters': JSON.stringify({ text: 'a'.repeat(MIB - 99) }),
  'prompts by the hundred thousand as a tensor': inputs('[300000]', wide(300_000, '""')),
  'a tensor in as many dimensions': inputs(wide(400_000, '1'), '["a"]'),
  'a tensor of lists of lists': inputs('[1]', wide(150_000, '[[1]]')),
  'outputs by the ten thousand': inputs('[1]', '["a"]', `,"outputs":${wide(30_000, '{"name":"text"}')}`),
  'a text of words to go on from': JSON.stringify({ text_input: costly.repeat(120) }),
  'metadata by the ten thousand': `{"input_file_id":"x","endpoint":"/v1/completions","completion_window":"24h","metadata":{${Array.from({ length: 70_000 }, (_, i) => `"f${i}":"0"`).join()}}}`,
  'tokens by the hundred thousand': `{"tokens": ${wide(200_000, '50256')}}`
}

/** All that take JSON. */
const routes = [
  '/v1/completions',
  '/v1/infill',
  '/v1/tokenize',
  '/v1/detokenize',
  '/v1/batches',
  '/v2/models/toy-mixture/infer',
  '/v2/models/toy-mixture/generate',
  '/v2/models/toy-mixture/generate_stream'
]

interface Bomb {
  readonly what: string
  readonly route: string
  readonly type: string
  readonly body: string
}

const costHolds = `no 5xx, answers of ${ANSWER_MIB} MiB at most, event loop busy ${BUSY_MS} ms at most, under ${RESIDENT_MIB} MiB with a heap of 512`

/** Posts each of these, again and again, and adds up what that costs a server. */
async function costOf(t: Test, bombs: readonly Bomb[]): Promise<Found> {
  const { url, child } = await startServerWith(t, { env: HEAP }, ...TOYS, '--data', t.testdir())
  const lost: string[] = []
  let mostMib = 0
  let longestMs = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (const { what, route, type, body } of bombs) {
      const headers = { 'content-type': type }
      const answer = await fetch(url + route, { method: 'POST', headers, body })
      const { status } = answer
      const answeredMib = (await answer.arrayBuffer()).byteLength / MIB
      const busyMs = Math.round(1000 * (await metric(url, 'nodejs_eventloop_lag_max_seconds')))
      longestMs = Math.max(longestMs, busyMs)
      mostMib = Math.max(mostMib, Math.round(await residentMib(child.pid!)))
      if (status >= 500 || busyMs > BUSY_MS || answeredMib > ANSWER_MIB)
        lost.push(`${route}, ${what}: ${status}, busy ${busyMs} ms, ${answeredMib} MiB`)
    }
  }
  if (mostMib > RESIDENT_MIB) lost.push(`${mostMib} MiB`)
  const note = `event loop busy ${longestMs} ms at most, ${mostMib} MiB at most`
  return { times: ROUNDS * bombs.length, lost, note }
}

trial('bodies of 1 MiB that are costly to read, each to every route that takes JSON', costHolds, (t) => {
  const type = 'application/json'
  const ofRoutes = ([what, body]: [string, string]) => routes.map((route) => ({ what, route, type, body }))
  return costOf(t, Object.entries(bodies).flatMap(ofRoutes))
})

const BOUNDARY = 'x'
const part = (name: string, value: string, more = '') =>
  `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
const purpose = part('purpose', 'batch')
const file = (value: string) => part('file', value, '; filename="a.jsonl"')
/** Forms of some MiB: a file is not held to the limit of a body. */
const forms: Record<string, string> = {
  'fields by the hundred thousand': Array.from({ length: 100_000 }, (_, i) => part(`f${i}`, '')).join(''),
  'files by the hundred thousand': `${purpose}${file('{}').repeat(100_000)}`,
  'a field of 8 MiB': part('purpose', 'a'.repeat(8 * MIB)),
  'a name of 8 MiB': part('a'.repeat(8 * MIB), 'batch'),
  'a name that is a path of objects': part('__proto__[a]'.repeat(1000), 'batch'),
  'headers without an end': `--${BOUNDARY}\r\n${'a: b\r\n'.repeat(MIB)}`,
  'beginnings of boundaries': `${purpose}${file(`\r\n--${BOUNDARY}`.slice(0, -1).repeat(2 * MIB))}`,
  'four million empty lines': `${purpose}${file('\n'.repeat(4 * MIB))}`,
  'a line of 16 MiB': `${purpose}${file('a'.repeat(16 * MIB))}`
}

trial('forms of some MiB that are costly to read, as uploads', costHolds, (t) => {
  const type = `multipart/form-data; boundary=${BOUNDARY}`
  const upload = ([what, form]: [string, string]) => ({
    ...{ what, route: '/v1/files', type },
    body: `${form}--${BOUNDARY}--\r\n`
  })
  return costOf(t, Object.entries(forms).map(upload))
})

trial(
  'bodies and WebSocket messages that are small until unpacked',
  `refused, never unpacked: ${GROWTH_MIB} MiB more at most`,
  async (t) => {
    const { url, child } = await startServer(t, ...TOYS)
    const before = await residentMib(child.pid!)
    const lost: string[] = []
    const bomb = Buffer.alloc(256 * MIB, '[')
    for (const [encoding, pack] of Object.entries(packed)) {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding }
      const { status } = await fetch(`${url}/v1/completions`, {
        method: 'POST',
        headers,
        body: new Uint8Array(pack(bomb))
      })
      if (status < 400 || status >= 500) lost.push(`${encoding}: ${status}`)
    }
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`, { perMessageDeflate: true })
    await once(socket, 'open')
    if (socket.extensions) lost.push(`the WebSocket takes ${socket.extensions}`)
    // A compressed message all the same: the first byte says that it is one.
    const bytes = deflateSync(bomb.subarray(0, 32 * MIB)).subarray(2)
    const head = Buffer.from([0xc1, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    head.writeUInt32BE(bytes.length, 6)
    ;(socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(Buffer.concat([head, bytes]))
    const [code] = await once(socket, 'close')
    if (code !== 1002) lost.push(`a compressed message: closed with ${code}`)
    const grown = Math.round((await residentMib(child.pid!)) - before)
    if (grown > GROWTH_MIB) lost.push(`${grown} MiB more`)
    return { times: Object.keys(packed).length + 2, lost, note: `${grown} MiB more` }
  }
)
