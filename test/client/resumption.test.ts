import fc from 'fast-check'
import t from 'tap'
import { Resumption } from '../../src/client/resumption.js'
import type { Reveal, SequenceEnd, SequenceEvent, SequenceStart, StepEnd } from '../../src/schemas.js'

const STEPS = 8

/** A text whose step s reveals position s - 1, its tokens from the seed. */
function events(seed: number): SequenceEvent[] {
  const common = { id: 'a', index: 0 }
  const start = { type: 'sequence-start', ...common, model: 'm', seed, steps: STEPS } as SequenceStart
  const steps = Array.from({ length: STEPS }, (_, i): StepEnd => {
    const reveal: Reveal = { position: i, token: seed * 100 + i, text: `${i}`, probability: 1, step: i + 1 }
    return {
      type: 'step-end',
      ...common,
      step: i + 1,
      of: STEPS,
      t: 0,
      reveals: [reveal],
      masked: 0,
      delta: `${i}`
    }
  })
  return [start, ...steps, { type: 'sequence-end', ...common, text: '01234567' } as SequenceEnd]
}

/** As a slow reader gets them: some steps joined. */
function joined(all: SequenceEvent[], joins: boolean[]): SequenceEvent[] {
  const result: SequenceEvent[] = []
  for (const event of all) {
    const last = result.at(-1)
    if (event.type === 'step-end' && last?.type === 'step-end' && joins[event.step]) {
      const delta = last.delta! + event.delta!
      result[result.length - 1] = { ...event, reveals: [...last.reveals, ...event.reveals], delta }
    } else result.push(event)
  }
  return result
}

const tell = (told: SequenceEvent[]) => ({
  starts: told.filter(({ type }) => type === 'sequence-start').length,
  tokens: told.flatMap((event) => (event.type === 'step-end' ? event.reveals.map(({ token }) => token) : [])),
  delta: told.map((event) => (event.type === 'step-end' ? event.delta : '')).join(''),
  ends: told.filter(({ type }) => type === 'sequence-end').length
})

const cut = fc.record({
  at: fc.nat({ max: STEPS + 1 }),
  joins: fc.array(fc.boolean(), { minLength: STEPS + 1, maxLength: STEPS + 1 })
})

t.test('however often a stream is lost, every reveal is told once', async () => {
  fc.assert(
    fc.property(fc.array(cut, { maxLength: 4 }), (cuts) => {
      const resumption = new Resumption()
      const told: SequenceEvent[] = []
      for (const { at, joins } of [...cuts, { at: Number.POSITIVE_INFINITY, joins: [] }]) {
        resumption.next({})
        for (const event of joined(events(1), joins).slice(0, at)) told.push(...resumption.take(event))
      }
      const { starts, tokens, delta, ends } = tell(told)
      return (
        starts === 1 &&
        ends === 1 &&
        delta === '01234567' &&
        tokens.join() === '100,101,102,103,104,105,106,107'
      )
    })
  )
})

t.test('a server that writes another text has the reader start over', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: STEPS + 1 }), (at) => {
      const resumption = new Resumption()
      const told = events(1)
        .slice(0, at)
        .flatMap((event) => resumption.take(event))
      resumption.next({})
      const later = events(2).flatMap((event) => resumption.take(event))
      const restart = later.findIndex(({ type }) => type === 'sequence-start')
      const { tokens, delta, ends } = tell(later.slice(restart))
      return (
        tell(told).starts === 1 &&
        restart === 0 &&
        tokens.length === STEPS &&
        delta === '01234567' &&
        ends === 1
      )
    })
  )
})

t.test('an attempt asks for the seed that was drawn and the model that was chosen', async (t) => {
  const resumption = new Resumption()
  t.same(resumption.next({ prompt: 'a' }), { prompt: 'a' })
  resumption.take(events(7)[0]!)
  t.same(resumption.next({ prompt: 'a' }), { prompt: 'a', seed: 7, model: 'm' })
})
