import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { ErrorOutput } from '../../src/denoiser/error-output.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function outputOf(text: string) {
  const stream = new PassThrough()
  const lines: string[] = []
  const output = new ErrorOutput(stream, (line) => lines.push(line))
  stream.end(text)
  await output.ended
  return { output, lines }
}

t.test('the reason is what ONNX Runtime says, without stamps and colours', async (t) => {
  const { output, lines } = await outputOf(
    '\u001b[1;31m2026-01-01 00:00:00.1 [E:onnxruntime:Default, provider_bridge_ort.cc:2251 TryGetProviderInfo_CUDA] ' +
      'Failed to load library libx.so with error: libcublas.so.13: cannot open\u001b[m\n\n'
  )
  t.equal(output.reason, 'Failed to load library libx.so with error: libcublas.so.13: cannot open')
  t.equal(lines.length, 1)
})

t.test('an error says more than the lines after it; without one the last line is the reason', async (t) => {
  const crash = await outputOf('one\nTypeError: x is not a function\n    at y (z.js:1:1)\n\nNode.js v20\n')
  t.equal(crash.output.reason, 'TypeError: x is not a function')
  t.same(crash.lines, ['one', 'TypeError: x is not a function', 'at y (z.js:1:1)', 'Node.js v20'])
  t.equal((await outputOf('one\ntwo\n')).output.reason, 'two')
  t.equal((await outputOf('')).output.reason, undefined)
})

t.test('of a line without an end no more is kept than its length', async (t) => {
  const stream = new PassThrough({ highWaterMark: 1 })
  const lines: string[] = []
  const output = new ErrorOutput(stream, (line) => lines.push(line))
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 64; i++) if (!stream.write(Buffer.alloc(2 ** 20, 0xc3))) await once(stream, 'drain')
  collectGarbage()
  const grown = process.memoryUsage().arrayBuffers - before
  t.ok(grown < 4 * 2 ** 20, `${grown} bytes`)
  stream.end('\nTypeError: x\n')
  await output.ended
  t.same(lines, [`(a line of ${2 ** 26} bytes)`, 'TypeError: x'])
})
