/** The process that serves: config to models to engine to app; listens, and drains on signals. */
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { ApiKeys } from './api-keys.js'
import { buildApp } from './app.js'
import type { Config } from './config.js'
import { readCredentials } from './credentials.js'
import type { DenoiserPool } from './denoiser/denoiser-pool.js'
import { Engine, type ServedModel } from './engine.js'
import { isLoopback } from './http/origin-policy.js'
import { Metrics } from './metrics.js'
import { openBatchQueue, serveBatches } from './served-batches.js'
import { checkAliases, checkModels, modelFolders, startModels, stopModels } from './served-models.js'
import type { Phase } from './server-state.js'
import { ConfigError } from './setting.js'
import { stopSignal } from './stop-signal.js'
import { startTracing } from './tracing.js'

/** How long streams get to say that they were cut short, once time is up; and the last spans to leave. */
const FAREWELL_MS = 1000

/** Serves until SIGTERM or SIGINT. True when everything that was accepted was finished. */
export async function serve(config: Config): Promise<boolean> {
  process.stderr.on('error', () => {}) // its disk is full or its reader is gone: the log is lost, nothing else
  const checked = await checkModels(modelFolders(config.model))
  const aliases = checkAliases(config.alias, checked)
  const models: ServedModel<DenoiserPool>[] = []
  const credentials = await readCredentials(config)
  const keys = credentials.keys && new ApiKeys(credentials.keys)
  const metrics = new Metrics()
  const engine = new Engine(models, { ...config, aliases, onEvent: metrics.onEvent })
  const tracing = await startTracing((message) => app.log.warn(message))
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
    certificate: credentials.certificate,
    logPrompts: config.logPrompts === 'yes',
    logger: { level: config.logLevel, stream: process.stderr }
  })
  await listen(app, config)
  // Without anything to read again it means, as ever, that the terminal was closed.
  if (keys || credentials.certificate) process.on('SIGHUP', () => void reload(config, app, keys))
  const log = (level: 'info' | 'warn' | 'error', message: string) => app.log[level](message)
  try {
    models.push(...(await startModels(checked, { config, log, follow: metrics.follow })))
  } catch (error) {
    await app.close()
    throw error
  }
  phase = 'ready'
  const work = batches && serveBatches(batches, { engine, metrics, maxLineBytes: config.bodyLimit, log })
  console.log(announcement(addressOf(app, config), models))

  await stopSignal()
  phase = 'draining'
  await work?.stop()
  const drained = await drain(engine, app, config.shutdownTimeoutMs)
  await batches?.close()
  if (tracing)
    await within(FAREWELL_MS, tracing.stop()).catch((error) => app.log.warn(`tracing: ${error.message}`))
  return drained
}

/** Takes new keys and a new certificate; where they cannot be read, the old ones stay. */
async function reload(config: Config, app: FastifyInstance, keys: ApiKeys | undefined): Promise<void> {
  try {
    const credentials = await readCredentials(config)
    if (credentials.keys) keys?.replace(credentials.keys)
    const { server } = app
    if (credentials.certificate && server instanceof TlsServer)
      server.setSecureContext(credentials.certificate)
    app.log.info('keys and certificate were read again')
  } catch (error) {
    app.log.error(`keys and certificate stay as they were: ${(error as Error).message}`)
  }
}

/** Finishes what was accepted, or what there is time for: the rest ends with an error. */
async function drain(
  engine: Engine<DenoiserPool>,
  app: FastifyInstance,
  timeoutMs: number
): Promise<boolean> {
  const finished = engine.drain().then(() => app.close())
  const drained = await within(timeoutMs, finished)
  await stopModels(engine.models)
  if (!drained) await within(FAREWELL_MS, finished)
  return drained
}

const listenErrors: Readonly<Record<string, (config: Config) => string>> = {
  EADDRINUSE: ({ host, port }) => `--port: expected a free port, got ${port}, which is in use on ${host}`,
  EACCES: ({ port }) => `--port: expected a port that this user may listen on, got ${port}`,
  EADDRNOTAVAIL: ({ host }) => `--host: expected an address of this machine, got "${host}"`,
  ENOTFOUND: ({ host }) => `--host: expected an address of this machine, got "${host}"`
}

async function listen(app: FastifyInstance, config: Config): Promise<void> {
  try {
    await app.listen({ host: config.host, port: config.port })
  } catch (error) {
    await app.close()
    const message = listenErrors[(error as NodeJS.ErrnoException).code ?? '']?.(config)
    throw message ? new ConfigError(message) : error
  }
}

/** The address for a browser on this machine. */
function addressOf(app: FastifyInstance, { tlsCert }: Config): string {
  const { address, family, port } = app.server.address() as AddressInfo
  const host = ['0.0.0.0', '::'].includes(address)
    ? 'localhost'
    : family === 'IPv6'
      ? `[${address}]`
      : address
  return `${tlsCert === null ? 'http' : 'https'}://${host}:${port}`
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
