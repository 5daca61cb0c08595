/** From folders of models to models that serve: checked first, then started, each with its own scheduler. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from './config.js'
import { DenoiserPool } from './denoiser/denoiser-pool.js'
import { loadManifest, type Manifest } from './denoiser/manifest.js'
import { ModelError } from './denoiser/model-error.js'
import type { DenoiserOptions } from './denoiser/remote-denoiser.js'
import type { ServedModel } from './engine.js'
import { measurePassCost } from './scheduler/measure-pass-cost.js'
import { Scheduler, type SchedulerWatch } from './scheduler/scheduler.js'
import { ConfigError } from './setting.js'
import { loadTokenizer } from './tokenizer/gpt2-tokenizer.js'
import type { Tokenizer } from './tokenizer/tokenizer.js'

const bundled = fileURLToPath(new URL('../models', import.meta.url))
const isModel = (folder: string) => existsSync(join(folder, 'model.json'))

/** A folder whose manifest, files and tokenizer are in order. */
export interface CheckedModel {
  readonly name: string
  readonly folder: string
  readonly manifest: Manifest
  readonly tokenizer: Tokenizer
}

/** Folders of models given as such or by a bundled model's name; all bundled ones, the student first, when none is given. */
export function modelFolders(given: readonly string[]): string[] {
  if (given.length > 0) {
    return given.map((name) => (!isModel(name) && isModel(join(bundled, name)) ? join(bundled, name) : name))
  }
  const names = readdirSync(bundled).filter((name) => isModel(join(bundled, name)))
  if (names.length === 0) throw new ConfigError('--model: expected the folder of a model, got none')
  return names
    .sort((a, b) => Number(b === 'student') - Number(a === 'student') || a.localeCompare(b))
    .map((name) => join(bundled, name))
}

/** Everything that can be known to be wrong without starting a process. */
export async function checkModels(folders: readonly string[]): Promise<CheckedModel[]> {
  const tokenizers = new Map<string, Promise<Tokenizer>>()
  const models: CheckedModel[] = []
  for (const folder of folders) {
    const manifest = await loadManifest(folder)
    const { name, tokenizer } = manifest
    const other = models.find((model) => model.name === name)
    if (other) {
      const got = `"${name}" in ${other.folder} and in ${folder}`
      throw new ConfigError(`--model: expected models of different names, got ${got}`)
    }
    const path = join(bundled, 'tokenizers', tokenizer)
    if (!tokenizers.has(path)) tokenizers.set(path, loadTokenizer(path))
    models.push({ name, folder, manifest, tokenizer: await tokenizers.get(path)! })
  }
  return models
}

export function checkAliases(
  aliases: Config['alias'],
  models: readonly Pick<CheckedModel, 'name'>[]
): ReadonlyMap<string, string> {
  const names = models.map(({ name }) => name)
  for (const [alias, model] of aliases) {
    if (!names.includes(model)) {
      throw new ConfigError(`--alias: expected ${alias}= one of ${names.join(', ')}, got "${model}"`)
    }
    if (names.includes(alias)) {
      throw new ConfigError(`--alias: expected a name that no model has, got "${alias}"`)
    }
  }
  return new Map(aliases)
}

export interface StartOptions {
  readonly config: Config
  readonly log: DenoiserOptions['log']
  /** Gives the start up. */
  readonly signal?: AbortSignal
  /** Who is told what the scheduler of a model does. */
  readonly follow?: (model: string) => SchedulerWatch
}

/** All of them, or none: when one cannot be started the others are stopped again. */
export async function startModels(
  checked: readonly CheckedModel[],
  options: StartOptions
): Promise<ServedModel<DenoiserPool>[]> {
  const starts = await Promise.allSettled(checked.map((model) => startModel(model, options)))
  const models = starts.filter((start) => start.status === 'fulfilled').map((start) => start.value)
  const failed = starts.find((start) => start.status === 'rejected')
  if (failed) {
    await stopModels(models)
    throw failed.reason
  }
  return models
}

export async function stopModels(models: readonly ServedModel<DenoiserPool>[]): Promise<void> {
  await Promise.all(models.map((model) => model.scheduler.close()))
  await Promise.all(models.map((model) => model.denoiser.close()))
}

async function startModel(
  { name, folder, manifest, tokenizer }: CheckedModel,
  { config, log, follow, signal }: StartOptions
): Promise<ServedModel<DenoiserPool>> {
  const { device, devices, threads, passTimeoutMs, maxQueue, maxBacklogMs, maxBatchTokens, prefer } = config
  const options = { device, threads, passTimeoutMs, log, signal }
  const denoiser = await DenoiserPool.start(folder, manifest, devices, options)
  const cost = await measurePassCost(denoiser, maxBatchTokens).catch(async ({ message }: Error) => {
    await denoiser.close()
    throw new ModelError(`${folder}: its first passes failed: ${message}`)
  })
  const scheduler = new Scheduler(denoiser, {
    maxQueue,
    maxBacklogMs,
    maxBatchTokens,
    cost,
    prefer,
    watch: follow?.(name)
  })
  return { name, denoiser, scheduler, tokenizer }
}
