import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { serialize } from 'node:v8'
import fc from 'fast-check'
import t from 'tap'
import { Channel } from '../../src/denoiser/channel.js'

function open() {
  const input = new PassThrough()
  const output = new PassThrough()
  const messages: unknown[] = []
  const ends: (string | undefined)[] = []
  const onMessage = (message: unknown) => messages.push(message)
  const channel = new Channel({ input, output, onMessage, onEnd: (fault) => ends.push(fault) })
  return { channel, input, output, messages, ends }
}

/** What one side writes for these. */
function written(messages: readonly unknown[]): Buffer {
  const { channel, output } = open()
  for (const message of messages) channel.send(message)
  return output.read() ?? Buffer.alloc(0)
}

t.test('messages arrive as they were, in order, however their bytes are cut up', async (t) => {
  const message = fc.oneof(
    fc.constant({ tokens: Int32Array.of(1, 2, 3), coins: Float64Array.of(0.5), rows: new Int32Array(0) }),
    fc.jsonValue()
  )
  await fc.assert(
    fc.asyncProperty(fc.array(message), fc.array(fc.nat(40)), async (sent, cuts) => {
      const { input, messages, ends } = open()
      let rest = written(sent)
      for (const cut of cuts) {
        input.write(rest.subarray(0, cut))
        rest = rest.subarray(cut)
      }
      input.end(rest)
      await setImmediate()
      t.strictSame(messages, sent)
      t.same(ends, [undefined])
    }),
    { numRuns: 50 }
  )
})

t.test('what is no message ends it, with the reason, once; nothing after it is read', async (t) => {
  const length = (bytes: number) => Buffer.from(Uint32Array.of(bytes).buffer)
  const faults: [Buffer, RegExp][] = [
    [Buffer.from('hello world'), /message of \d+ bytes/],
    [Buffer.concat([length(4), Buffer.from([1, 2, 3, 4])]), /no message/],
    [Buffer.concat([length(0)]), /no message/],
    [length(2 ** 31), /message of 2147483648 bytes/],
    [Buffer.concat([length(6), serialize('a long text').subarray(0, 6)]), /no message/]
  ]
  for (const [bytes, reason] of faults) {
    const { input, messages, ends } = open()
    input.write(bytes)
    input.end(written(['late']))
    await setImmediate()
    t.match(ends, [reason])
    t.equal(ends.length, 1)
    t.same(messages, [])
  }
})
