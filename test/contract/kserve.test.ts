import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { settings } from '../../src/config.js'
import { variableOf } from '../../src/setting.js'
import { build } from '../helper.js'

const read = (file: string) => parse(readFileSync(`deploy/kserve/${file}.yaml`, 'utf8'))

t.test('the runtime names paths and settings that there are, and the service fits it', async (t) => {
  const runtime = read('runtime')
  const { predictor } = read('student').spec
  const [container] = runtime.spec.containers
  t.equal(container.name, 'kserve-container') // KServe finds it by this name
  const { app } = await build(t)
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    const { path, port } = container[probe].httpGet
    t.equal((await app.inject(path)).statusCode, 200)
    t.equal(port, container.ports[0].containerPort)
  }
  const env = Object.fromEntries(
    container.env.map(({ name, value }: { name: string; value: string }) => [name, value])
  )
  const known = Object.keys(settings).map(variableOf)
  for (const name of Object.keys(env)) t.ok(known.includes(name), name)
  t.equal(Number(env.FEWSTEP_PORT), container.ports[0].containerPort)
  t.ok(predictor.terminationGracePeriodSeconds * 1000 > Number(env.FEWSTEP_SHUTDOWN_TIMEOUT_MS))
  t.equal(predictor.model.runtime, runtime.metadata.name)
  t.equal(predictor.model.modelFormat.name, runtime.spec.supportedModelFormats[0].name)
  t.ok(runtime.spec.protocolVersions.includes(predictor.model.protocolVersion))
})
