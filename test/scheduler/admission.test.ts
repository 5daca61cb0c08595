import t from 'tap'
import { Admission, TURN } from '../../src/scheduler/admission.js'
import type { Sequence } from '../../src/scheduler/sequence.js'
import { makeSequence } from './make-sequence.js'

const newAdmission = (context: number, passTokens: number, lanes: number) =>
  new Admission<Sequence>(
    { context, passTokens, lanes, parallel: lanes, maxRows: 1000 },
    ({ tokens, rows }) => tokens + rows
  )

t.test('the head of the queue runs when there is room, and nobody overtakes it', async (t) => {
  const admission = newAdmission(64, 64, 1)
  const [first, long, short] = [makeSequence(15, 4, 1), makeSequence(60, 4, 2), makeSequence(15, 4, 3)]
  admission.add([first!, long!, short!])
  t.same(admission.running, [first])
  t.equal(admission.queued, 2)
  admission.remove(first!)
  t.same(admission.admit(), [long])
  t.same(admission.running, [long])
  admission.remove(long!)
  admission.admit()
  t.same(admission.running, [short])
})

t.test('as many sequences as must always run, however small the budget', async (t) => {
  const sequences = () => [makeSequence(60, 1, 1), makeSequence(5, 1, 2), makeSequence(5, 1, 3)]
  for (const least of [1, 2]) {
    const admission = newAdmission(64, 1, least)
    admission.add(sequences())
    t.equal(admission.running.length, least)
  }
})

t.test('a round is the padded tokens and the rows of the next pass of each that runs', async (t) => {
  const admission = newAdmission(64, 1000, 1)
  const [a, b] = [makeSequence(20, 4, 1), makeSequence(5, 1, 2)]
  admission.add([a!, b!])
  t.same(admission.round, { tokens: 24 + 16, rows: a!.nextRows + 5, sequences: 2 })
})

t.test('after its pass a sequence waits behind the others', async (t) => {
  const admission = newAdmission(64, 1000, 1)
  const [a, b, c] = [makeSequence(5, 4, 1), makeSequence(5, 4, 2), makeSequence(5, 4, 3)]
  admission.add([a!, b!, c!])
  admission.depart([a!])
  t.same(admission.admit(), [b, c])
  admission.comeBack([a!])
  t.same(admission.admit(), [b, c, a])
})

t.test('a sequence that left during its pass does not come back', async (t) => {
  const admission = newAdmission(64, 1000, 1)
  const [a, b] = [makeSequence(5, 4, 1), makeSequence(5, 4, 2)]
  admission.add([a!, b!])
  admission.depart([a!, b!])
  admission.remove(a!)
  admission.comeBack([a!, b!])
  t.same(admission.admit(), [b])
})

t.test(
  'clients are admitted by what they had for their weights, however many sequences one brings',
  async (t) => {
    const admission = newAdmission(64, 16, 1)
    const of = (name: string, weight: number, count: number) =>
      Array.from({ length: count }, (_, i) => makeSequence(15, 4, i, { client: { name, weight } }))
    admission.add(of('many', 1, 6))
    admission.add(of('two', 2, 4))
    const served: string[] = []
    for (let [next] = admission.admit(); next; [next] = admission.admit()) {
      served.push(next.client!.name)
      admission.remove(next)
    }
    t.same(served, ['many', 'two', 'two', 'many', 'two', 'two', 'many', 'many', 'many', 'many'])
  }
)

t.test('who has had its turn while others wait goes on when it has waited again', async (t) => {
  const admission = newAdmission(64, 64, 1)
  const [long, next, hurried] = [
    makeSequence(60, 64, 1),
    makeSequence(60, 64, 2),
    makeSequence(60, 64, 3, { deadline: Number.POSITIVE_INFINITY })
  ]
  const pass = (sequence: Sequence) => {
    admission.depart([sequence])
    admission.comeBack([sequence])
    admission.admit()
  }
  admission.add([long!])
  for (let i = 0; i < 40; i++) pass(long!) // nobody waits
  t.same(admission.running, [long])
  admission.add([next!, hurried!])
  pass(long!)
  t.same(admission.running, [next])
  for (let i = 1; i < TURN; i++) pass(next!)
  t.same(admission.running, [next])
  pass(next!)
  t.same(admission.running, [hurried])
  for (let i = 0; i < 40; i++) pass(hurried!) // it was promised to be done in time
  t.same(admission.running, [hurried])
  admission.remove(hurried!)
  t.same(admission.admit(), [long])
})
