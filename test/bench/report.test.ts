import t from 'tap'
import { report } from '../../src/bench/report.js'
import { chartsOf } from '../../src/bench/report-charts.js'
import { closed, documentOf, resultOf } from './results.js'

const runs = [
  resultOf('student', 4, [[100, 110]]),
  resultOf('student', 8, [[200]]),
  resultOf('teacher', 8, [[210]])
]

t.test('speed against quality: a curve for each model, over its steps', async (t) => {
  const [pareto, distribution] = chartsOf(runs)
  t.same(
    pareto!.series.map(({ name, points }) => [name, points.map(({ label, y }) => [label, y])]),
    [
      [
        'student',
        [
          ['8', 4.08],
          ['4', 4.04]
        ]
      ],
      ['teacher', [['8', 4.08]]]
    ]
  )
  t.equal(pareto!.y, 'entropy, nats')
  const { x, y } = distribution!.series[0]!.points.at(-1)!
  t.same([Math.round(x), y], [110, 100])
  const judged = runs.map((result) => ({
    ...result,
    perplexity: { value: 60, low: 50, high: 70, texts: 1, judge: 'j' }
  }))
  t.equal(chartsOf(judged)[0]!.y, 'perplexity')
})

t.test('several loads have a chart of their own; what was not measured has no point', async (t) => {
  const loads = [
    ...runs,
    resultOf('student', 4, [[300]], closed(16)),
    resultOf('student', 8, [[]], closed(16))
  ]
  const against = chartsOf(loads)[1]!
  t.equal(against.title, 'Latency against load')
  t.same(
    against.series.find(({ name }) => name === 'student, 4 steps, p50')!.points.map(({ x }) => x),
    [8, 16]
  )
  t.same(
    against.series.find(({ name }) => name === 'student, 8 steps, p50')!.points.map(({ x }) => x),
    [8]
  )
})

t.test('nothing that a server says becomes markup', async (t) => {
  const evil = '</script><img src=x onerror=alert(1)>"\''
  const page = report({ ...documentOf([resultOf(evil, 4, [[1]]), resultOf('b', 4, [[2]])]), machine: evil })
  t.notMatch(page, '<img')
  t.equal(page.match(/<\/script>/g)!.length, 3)
})
