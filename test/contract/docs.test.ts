import { readFileSync } from 'node:fs'
import t from 'tap'
import { errorTable } from '../../src/errors.js'
import { build } from '../helper.js'

const read = (path: string) => readFileSync(path, 'utf8')

t.test('docs/errors.md lists every code with its status and type', async (t) => {
  const docs = read('docs/errors.md')
  for (const [code, { status, type }] of Object.entries(errorTable)) {
    t.match(docs, new RegExp(`^\\| \`${code}\` \\| ${status} \\| \`${type}\` \\| `, 'm'))
  }
})

t.test('docs/api.md names every route, request field and event', async (t) => {
  const docs = read('docs/api.md')
  const { app } = await build(t)
  const { paths, components } = JSON.parse(JSON.stringify(app.swagger()))
  for (const [path, methods] of Object.entries<object>(paths)) {
    for (const method of Object.keys(methods)) t.ok(docs.includes(`${method.toUpperCase()} ${path}`), path)
  }
  for (const schema of ['CompletionRequest', 'InfillRequest', 'TokenizeRequest', 'DetokenizeRequest']) {
    for (const field of Object.keys(components.schemas[schema].properties))
      t.ok(docs.includes(`\`${field}\``), field)
  }
  for (const event of ['sequence-start', 'step-end', 'sequence-end', 'snapshot', 'error'])
    t.ok(docs.includes(event))
})
