/** What Helm itself does not see; `npm run check-deploy` renders the chart and validates what comes out. */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { settings } from '../../src/config.js'
import { variableOf } from '../../src/setting.js'
import { fewstepVersion } from '../../src/version.js'
import { build } from '../helper.js'

const chart = 'deploy/helm/fewstep'
const read = (file: string) => readFileSync(`${chart}/${file}`, 'utf8')
const templates = readdirSync(`${chart}/templates`)
  .map((file) => read(`templates/${file}`))
  .join('\n')
const values = ['values.yaml', 'values-gpu.yaml'].map((file) => parse(read(file)))

t.test('every variable of the chart is a setting of the server', async (t) => {
  const known = Object.keys(settings).map(variableOf)
  const named = [...templates.matchAll(/name: (FEWSTEP_\w+)/g)].map(([, name]) => name!)
  t.ok(named.length > 3)
  for (const name of [...named, ...values.flatMap(({ env }) => Object.keys(env))])
    t.ok(known.includes(name), name)
})

t.test('every probe and metric of the chart is one of the server', async (t) => {
  const { app } = await build(t)
  const paths = [...templates.matchAll(/path: (\/[\w/]+),? /g)].map(([, path]) => path!)
  t.same(new Set(paths), new Set(['/health/ready', '/health/live']))
  for (const path of paths) t.equal((await app.inject(path)).statusCode, 200, path)
  const metrics = (await app.inject('/metrics')).body
  const asked = [...templates.matchAll(/\b(fewstep_\w+)/g)].map(([, name]) => name!)
  t.same(new Set(asked), new Set(['fewstep_backlog_seconds']))
  for (const name of asked) t.match(metrics, new RegExp(`^${name}{`, 'm'))
})

t.test('the values of GPUs are values of the chart, and both have one version with the server', async (t) => {
  const [all, gpu] = values
  for (const name of Object.keys(gpu)) t.ok(name in all, name)
  const { version, appVersion } = parse(read('Chart.yaml'))
  t.same([version, appVersion], [fewstepVersion, fewstepVersion])
})
