/** The process that serves: config to models to engine to app; listens, and drains on signals. */
import { on } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import { ApiKeys } from './api-keys.js'
import { buildApp } from './app.js'
import type { Config } from './config.js'
import { readCertificate, readKeys } from './credentials.js'
import type { DenoiserPool } from './denoiser/denoiser-pool.js'
import { Engine, type ServedModel } from './engine.js'
import { isLoopback } from './http/origin-policy.js'
import { addressOf, listen } from './listening.js'
import { Metrics } from './metrics.js'
import { reloadAt } from './reload.js'
import { openBatchQueue, serveBatches } from './served-batches.js'
import { checkAliases, checkModels, modelFolders, startModels, stopModels } from './served-models.js'
import type { Phase } from './server-state.js'
import { stopSignal } from './stop-signal.js'
import { startTracing } from './tracing.js'

/** How long streams get to say that they were cut short, once time is up; and the last spans to leave. */
const FAREWELL_MS = 1000

/** Serves until SIGTERM or SIGINT. True when everything that was accepted was finished. */
export async function serve(config: Config): Promise<boolean> {
  process.stderr.on('error', () => {}) // its disk is full or its reader is gone: the log is lost, nothing else
  const stop = stopSignal() // from here on: a container's first process ends at no signal that it does not heed
  const hangUps = on(process, 'SIGHUP')
  const checked = await checkModels(modelFolders(config.model))
  const aliases = checkAliases(config.alias, checked)
  const models: ServedModel<DenoiserPool>[] = []
  const given = await readKeys(config)
  const keys = given && new ApiKeys(given)
  const certificate = await readCertificate(config)
  const metrics = new Metrics()
  const maxTexts = Math.min(config.maxTexts, config.maxQueue) // more could never all wait
  const engine = new Engine(models, { ...config, maxTexts, aliases, onEvent: metrics.onEvent })
  const faults: string[] = []
  let onFault = (message: string): unknown => faults.push(message)
  const tracing = await startTracing((message) => onFault(message))
  const batches = await openBatchQueue(config)
  let phase: Phase = 'loading'
  const app: FastifyInstance = await buildApp({
    engine,
    tracing,
    aliases,
    limits: config,
    metrics,
    batches,
    phase: () => phase,
    security: { ...config, keys, local: isLoopback(config.host) },
    trustProxy: config.trustProxy,
    certificate,
    logPrompts: config.logPrompts === 'yes',
    logger: { level: config.logLevel, stream: process.stderr }
  })
  await listen(app, config)
  void reloadAt(hangUps, config, app, keys)
  const log = (level: 'info' | 'warn' | 'error', message: string) => app.log[level](message)
  onFault = (message) => log('warn', message)
  for (const fault of faults) onFault(fault)
  if (!keys && !isLoopback(config.host))
    log('warn', `everybody who reaches ${config.host} may do everything: no --api-key, no --api-keys-file`)
  const loading = { config, log, follow: metrics.follow }
  const started = await startUnless(stop, checked, loading).catch(async (error) => {
    await app.close()
    throw error
  })
  let work: ReturnType<typeof serveBatches> | undefined
  if (started) {
    models.push(...started)
    phase = 'ready'
    work = batches && serveBatches(batches, { engine, metrics, maxLineBytes: config.bodyLimit, log })
    console.log(announcement(addressOf(app, config), models))
  }

  const signal = await stop
  phase = 'draining'
  log('info', `${signal}: new work is refused, ${textsOf(models)} texts in work are finished`)
  await work?.stop()
  const drained = await drain(engine, app, config.shutdownTimeoutMs)
  await batches?.close()
  if (tracing)
    await within(FAREWELL_MS, tracing.stop()).catch((error) => app.log.warn(`tracing: ${error.message}`))
  return drained
}

/** The models; undefined when the stop comes before they have started: then their processes are killed. */
async function startUnless(
  stop: Promise<unknown>,
  checked: Parameters<typeof startModels>[0],
  options: Parameters<typeof startModels>[1]
): Promise<ServedModel<DenoiserPool>[] | undefined> {
  const givenUp = new AbortController()
  const starting = startModels(checked, { ...options, signal: givenUp.signal })
  const started = await Promise.race([starting, stop.then(() => undefined)])
  if (started) return started
  givenUp.abort()
  await starting.then(stopModels, () => {})
  return undefined
}

/** Finishes what was accepted, or what there is time for: the rest ends with an error. */
async function drain(
  engine: Engine<DenoiserPool>,
  app: FastifyInstance,
  timeoutMs: number
): Promise<boolean> {
  const finished = engine.drain().then(() => app.close())
  const drained = await within(timeoutMs, finished)
  const dropped = textsOf(engine.models)
  const connections = await promisify<number>(app.server.getConnections.bind(app.server))()
  await stopModels(engine.models)
  if (!drained) await within(FAREWELL_MS, finished)
  if (drained) app.log.info('stopped: all that was accepted is finished')
  else
    app.log.warn(
      `stopped after ${timeoutMs} ms: ${dropped} texts dropped, ${connections} connections cut off`
    )
  return drained
}

/** Texts that wait or are written. */
function textsOf(models: readonly ServedModel<DenoiserPool>[]): number {
  return models.reduce((sum, { scheduler: { stats } }) => sum + stats.queued + stats.running, 0)
}

function announcement(address: string, models: readonly ServedModel<DenoiserPool>[]): string {
  const names = models.map(({ name, denoiser }) => `${name} on ${denoiser.device}`).join(', ')
  const body = '{"prompt": "Once upon a time", "max_tokens": 64}'
  return `fewstep serves ${names} at ${address}

  curl ${address}/v1/completions -H 'content-type: application/json' -d '${body}'

Playground ${address}/  API ${address}/docs`
}

async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => true), setTimeout(ms, false, { ref: false })])
}
