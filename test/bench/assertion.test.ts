import t from 'tap'
import { type Assertion, broken, parseAssertion } from '../../src/bench/assertion.js'
import { resultOf } from './results.js'

const results = [resultOf('student', 4, [[100, 300]]), resultOf('teacher', 32, [[4000, 4000]])]
const brokenBy = (text: string) => broken([parseAssertion(text) as Assertion], results)

t.test('what holds says nothing; what does not says what came', async (t) => {
  t.same(brokenBy('requests.done>=2'), [])
  t.same(brokenBy('student latency.max <= 300.5'), [])
  t.same(brokenBy('goodput>0.99'), ['goodput>0.99: got 0 for teacher, 32 steps, 8 at once'])
  t.same(brokenBy('student:4 latency.p50<100'), [
    'student:4 latency.p50<100: got 100 for student, 4 steps, 8 at once'
  ])
  t.same(brokenBy('student:8 goodput>0'), ['student:8 goodput>0: expected a run of that name, got none'])
  t.same(brokenBy('student perplexity<100'), [
    'student perplexity<100: got nothing for student, 4 steps, 8 at once'
  ])
})

t.test('what is no assertion is none', async (t) => {
  for (const text of ['goodput', 'goodput=1', 'latency>1', 'constructor>1', 'goodput>x', 'a b goodput>1', ''])
    t.equal(parseAssertion(text), undefined, text)
})
