import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { build, post } from '../helper.js'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly summary: string }
}

const alerts = parse(readFileSync('deploy/prometheus/alerts.yaml', 'utf8'))
const dashboard = JSON.parse(readFileSync('deploy/grafana/fewstep.json', 'utf8'))
const rules: Rule[] = alerts.groups[0].rules

const expressions: string[] = [
  ...rules.map(({ expr }) => expr),
  ...dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr)
  )
]

t.test('alerts and dashboard ask for metrics that there are, by labels that they have', async (t) => {
  const { app } = await build(t)
  await post(app, '/v1/completions', { max_tokens: 2 })
  await post(app, '/v1/completions', { max_tokens: 0 }) // an error has a code
  const metrics = (await app.inject('/metrics')).body
  for (const expression of expressions) {
    for (const [, name] of expression.matchAll(/\b((?:fewstep|nodejs|process)_\w+)/g)) {
      t.match(metrics, new RegExp(`^(${name}[ {]|# TYPE ${name} )`, 'm'), name!)
    }
    for (const [, names] of expression.matchAll(/by \(([^)]+)\)/g)) {
      const added = ['instance', 'job'] // by Prometheus
      for (const label of names!.split(', '))
        t.ok(added.includes(label) || metrics.includes(`${label}="`), label)
    }
  }
})

t.test('brackets of every expression close, and every alert and panel is named once', async (t) => {
  for (const expression of expressions) {
    for (const [open, close] of ['()', '[]', '{}']) {
      t.equal(expression.split(open!).length, expression.split(close!).length, expression)
    }
  }
  const names = [
    ...rules.map(({ alert }) => alert),
    ...dashboard.panels.map(({ title }: { title: string }) => title)
  ]
  t.equal(new Set(names).size, names.length)
  for (const { annotations } of rules) t.ok(annotations.summary)
})
