import t from 'tap'
import { type SequenceStep, StepStream } from '../../src/scheduler/step-stream.js'

const step = (n: number): SequenceStep => ({
  step: n,
  t: 0,
  masked: 1000 - n,
  reveals: [{ position: n, token: n, probability: 1, step: n, alternatives: [] }]
})

t.test('a reader that keeps up sees every step', async (t) => {
  const stream = new StepStream()
  const seen: number[] = []
  const reading = (async () => {
    for await (const { step } of stream) seen.push(step)
  })()
  for (let n = 1; n <= 100; n++) {
    stream.push(step(n))
    await new Promise(setImmediate)
  }
  stream.end()
  await reading
  t.same(
    seen,
    Array.from({ length: 100 }, (_, i) => i + 1)
  )
})

t.test('a reader that lags gets steps joined and no reveal lost', async (t) => {
  const stream = new StepStream()
  for (let n = 1; n <= 500; n++) stream.push(step(n))
  stream.end()
  const steps: SequenceStep[] = []
  for await (const joined of stream) steps.push(joined)
  t.ok(steps.length <= 32)
  t.same(steps.at(-1)!.step, 500)
  t.same(steps.at(-1)!.masked, 500)
  t.same(
    steps.flatMap(({ reveals }) => reveals.map(({ position }) => position)),
    Array.from({ length: 500 }, (_, i) => i + 1)
  )
})

t.test('an error comes after the steps that were there, and only the first end counts', async (t) => {
  const stream = new StepStream()
  stream.push(step(1))
  stream.end(new Error('lost'))
  stream.end()
  t.equal((await stream.next()).value.step, 1)
  await t.rejects(stream.next(), /lost/)
})
