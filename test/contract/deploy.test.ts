import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import type { Metrics } from '../../src/metrics.js'
import { batchServer } from '../batches/batch-server.js'
import { type Selector, selectorsOf } from './promql.js'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly summary: string }
}

interface Panel {
  readonly type: string
  readonly title: string
  readonly description: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly fieldConfig: { readonly defaults: { readonly unit: string } }
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
}

const rules: Rule[] = parse(readFileSync('deploy/prometheus/alerts.yaml', 'utf8')).groups[0].rules
const dashboard = JSON.parse(readFileSync('deploy/grafana/fewstep.json', 'utf8'))
const panels: Panel[] = dashboard.panels.filter(({ type }: Panel) => type !== 'row')
const targets = panels.flatMap(({ targets }) => targets)

/** Grafana fills in its variable before Prometheus sees it. */
const selectors = ({ expr }: { expr: string }) => selectorsOf(expr.replaceAll('$__rate_interval', '5m'))

/** Prometheus gives these to every series. */
const added = ['job', 'instance']

const { metrics } = await batchServer(t)
const series = await seriesOf(metrics)

/** The labels of every series of a server, and what values they have; and what Prometheus has of its own. */
async function seriesOf({ registry }: Metrics) {
  const series = new Map<string, Map<string, Set<string>>>([['up', new Map()]])
  for (const { name, type, values } of await registry.getMetricsAsJSON()) {
    const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: string[] }
    const labels = labelNames.map(
      (label) => [label, new Set(values.map(({ labels }) => String(labels[label])))] as const
    )
    if (type.toString() !== 'histogram') series.set(name, new Map(labels))
    else {
      for (const suffix of ['sum', 'count']) series.set(`${name}_${suffix}`, new Map(labels))
      series.set(`${name}_bucket`, new Map([...labels, ['le', new Set()]]))
    }
  }
  return series
}

t.test(
  'alerts and dashboard ask for series that there are, by labels and values that they have',
  async (t) => {
    for (const { metric, matchers, kept } of [...rules, ...targets].flatMap(selectors)) {
      t.ok(series.has(metric), metric)
      const labels = series.get(metric) ?? new Map<string, Set<string>>()
      for (const label of kept) t.ok(labels.has(label) || added.includes(label), `${metric} by ${label}`)
      for (const { label, value } of matchers.filter(({ label }) => !added.includes(label)))
        for (const one of value.split('|')) t.ok(labels.get(label)?.has(one), `${metric}{${label}="${one}"}`)
    }
  }
)

t.test('legends name labels that are left', async (t) => {
  for (const target of targets) {
    const [{ metric, kept }] = selectors(target) as [Selector]
    const left = kept.length > 0 ? kept : [...(series.get(metric)?.keys() ?? []), ...added]
    for (const [legend, label] of target.legendFormat.matchAll(/{{(\w+)}}/g))
      t.ok(left.includes(label!), `${legend} of ${target.expr}`)
  }
})

t.test(
  'the dashboard shows every metric of the server, of the jobs and instances that are chosen',
  async (t) => {
    const shown = targets.flatMap(selectors)
    const names = shown.map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, ''))
    for (const { name } of metrics.registry.getMetricsAsArray())
      if (name.startsWith('fewstep_')) t.ok(names.includes(name), name)
    for (const { metric, matchers } of shown) {
      const chosen = matchers.filter(({ label, value }) => value === `$${label}`)
      t.same(new Set(chosen.map(({ label }) => label)), new Set(added), metric)
    }
  }
)

t.test('alerts and panels are named once and say what they tell, panels their unit too', async (t) => {
  const names = [...rules.map(({ alert }) => alert), ...panels.map(({ title }) => title)]
  t.equal(new Set(names).size, names.length)
  for (const { annotations } of rules) t.ok(annotations.summary)
  for (const { title, description, fieldConfig } of panels)
    t.ok(description && fieldConfig.defaults.unit, title)
})

t.test('panels do not overlap', async (t) => {
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }: Panel) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`)
  )
  t.equal(new Set(cells).size, cells.length)
})
