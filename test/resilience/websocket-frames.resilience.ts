/** Frames that no WebSocket client would send. */
import fc from 'fast-check'
import { startServer, TOYS } from '../integration/server-process.js'
import { AnswerChecker } from './answer-checker.js'
import { exchange } from './connection.js'
import { revealedText } from './revealed-text.js'
import { SEED } from './seed.js'
import { atRest, descriptors, descriptorsFall, each, metric, watched } from './server-watch.js'
import { trial } from './trial.js'

const SOCKETS = 4000
/** Sockets after which one without fault asks. */
const EVERY = 100
/** Sockets that must get events: nothing is learnt where all is refused. */
const MET = 500
const request = { model: 'toy-mixture', prompt: ' red', max_tokens: 40, seed: 1 }

const handshake = [
  'GET /v1/stream HTTP/1.1',
  'host: 127.0.0.1',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-extensions: permessage-deflate'
].join('\r\n')

interface Frame {
  readonly first: number // FIN, three reserved bits, opcode
  readonly masked: boolean
  readonly payload: Buffer
  /** A length other than the payload's. */
  readonly claimed: number | undefined
  /** As 7, 16 or 64 bits; not always the shortest. */
  readonly lengthBytes: 0 | 2 | 8
}

const message = fc.constantFrom(
  '{"type":"completion","id":"a","request":{"model":"toy-mixture","prompt":" red","max_tokens":4}}',
  '{"type":"completion","id":"b","request":{"model":"toy-mixture","max_tokens":900,"steps":900}}',
  '{"type":"infill","id":"c","request":{"template":[" red",{"mask":3}]}}',
  '{"type":"cancel","id":"b"}',
  '{"type":"snapshot","id":"b"}',
  '{"type":',
  '[]'
)
const payload = fc.oneof(
  { arbitrary: message.map((text) => Buffer.from(text)), weight: 4 },
  { arbitrary: fc.uint8Array({ maxLength: 130 }).map((bytes) => Buffer.from(bytes)), weight: 2 },
  { arbitrary: fc.nat(70_000).map((length) => Buffer.alloc(length, 0xc3)), weight: 1 }
)
const frame: fc.Arbitrary<Frame> = fc.record({
  first: fc.oneof({ arbitrary: fc.constantFrom(0x81, 0x82, 0x01, 0x00, 0x80), weight: 3 }, fc.nat(255)),
  masked: fc.nat(9).map((n) => n > 0),
  payload,
  claimed: fc.oneof({ arbitrary: fc.constant(undefined), weight: 9 }, fc.nat(200), fc.constant(2 ** 53)),
  lengthBytes: fc.constantFrom(0, 0, 0, 2, 8)
})

function encode({ first, masked, payload, claimed = payload.length, lengthBytes }: Frame): Buffer {
  const size = lengthBytes || (claimed < 126 ? 0 : claimed < 65_536 ? 2 : 8)
  const head = Buffer.alloc(2 + size)
  head[0] = first
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? claimed : size === 2 ? 126 : 127)
  if (size === 2) head.writeUInt16BE(claimed & 0xffff, 2)
  if (size === 8) head.writeBigUInt64BE(BigInt(claimed), 2)
  return Buffer.concat(masked ? [head, Buffer.alloc(4), payload] : [head, payload])
}

/** What is wrong with the frames that a server sent, or nothing. Each is whole, unmasked and of a known kind; texts are events as described. */
function faultIn(sent: Buffer, checker: AnswerChecker): string | undefined {
  for (let rest = sent; rest.length > 0; ) {
    const opcode = rest[0]! & 0x0f
    const short = rest[1]!
    if ((rest[0]! & 0xf0) !== 0x80 || ![1, 8, 9, 10].includes(opcode) || short > 127)
      return 'a frame of no kind'
    const skip = short === 126 ? 4 : short === 127 ? 10 : 2
    const length =
      short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short
    const content = rest.subarray(skip, skip + length)
    if (content.length < length) return undefined // cut where its client left
    const fault = opcode === 1 && checker.event(JSON.parse(content.toString()))
    if (fault) return fault
    rest = rest.subarray(skip + length)
  }
  return undefined
}

trial(
  'WebSocket frames: fragments, wrong masks, reserved bits and opcodes, false lengths, bytes that are no UTF-8',
  `events as described or a close, every socket let go, nothing logged; a client without fault gets its text, after each ${EVERY}`,
  async (t) => {
    const flags = ['--log-level', 'error', '--max-text-tokens', '1000']
    const server = await startServer(t, ...TOYS, ...flags)
    let log = ''
    server.child.stderr!.on('data', (chunk) => {
      log += chunk
    })
    const open = await descriptors(server)
    const lost: string[] = []
    let events = 0
    let done = 0
    const checker = new AnswerChecker(await (await fetch(`${server.url}/openapi.json`)).json())
    const expected = await revealedText(server.url, request)
    const sockets = fc.sample(fc.array(frame, { minLength: 1, maxLength: 6 }), {
      numRuns: SOCKETS,
      seed: SEED
    })
    const health = await watched(server.url, () =>
      each(sockets, 64, async (frames) => {
        const bytes = Buffer.concat([Buffer.from(`${handshake}\r\n\r\n`), ...frames.map(encode)])
        const { received, closed } = await exchange(server.url, bytes, 100)
        const answer = received.indexOf('\r\n\r\n') + 4
        const head = received.subarray(0, answer).toString()
        const sent = received.subarray(answer)
        const deflates = /permessage-deflate/i.test(head)
        const fault = closed ? faultIn(sent, checker) : 'was not let go'
        if (!head.startsWith('HTTP/1.1 101') || deflates || fault)
          lost.push(`${frames.map(encode).map((one) => one.toString('hex').slice(0, 99))}: ${fault ?? head}`)
        if (sent.includes('"type"')) events++
        if (++done % EVERY === 0 && (await revealedText(server.url, request)) !== expected)
          lost.push('another text')
      })
    )
    await atRest(server.url)
    t.equal(log, '')
    t.ok(events >= MET, `${events} sockets got events`)
    t.equal(await metric(server.url, 'fewstep_open_websockets'), 0)
    t.ok(await descriptorsFall(server, open + 4, 10_000), 'no socket stays')
    const note = `${events} got events, event loop busy ${health.lagMs} ms at most`
    return { times: sockets.length, lost: [...lost, ...health.lost], note }
  }
)
