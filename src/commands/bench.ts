/** `fewstep bench`: models under load, side by side. */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import type { WriteStream } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { availableCores } from '../available-cores.js'
import { measure, type Progress } from '../bench/measurement.js'
import { startOwnServer } from '../bench/own-server.js'
import { type Load, loadName, nameOf, type Run } from '../bench/plan.js'
import { table } from '../bench/table.js'
import { type Transport, transportTo } from '../bench/transport.js'
import { verdicts } from '../bench/verdict.js'
import { DisconnectedError, FewstepClient, type Model } from '../client/client.js'
import { ConfigError } from '../setting.js'
import { loadTokenizer } from '../tokenizer/gpt2-tokenizer.js'
import { fewstepVersion } from '../version.js'
import type { BenchSettings, RunWish } from './bench-settings.js'
import { Screen } from './screen.js'

const TOKENIZER = fileURLToPath(new URL('../../models/tokenizers/gpt2', import.meta.url))

export interface BenchOptions {
  readonly settings: BenchSettings
  readonly output: WriteStream
  readonly progress: WriteStream
  readonly signal: AbortSignal
}

/** Measures, and prints a table and a verdict; to a file what they rest on. */
export async function bench({ settings, output, progress, signal }: BenchOptions): Promise<void> {
  const prompts = settings.prompts === null ? [''] : await readPrompts(settings.prompts)
  const own = settings.url === null ? await startOwnServer() : undefined
  let transport: Transport | undefined
  try {
    const url = own?.url ?? settings.url!
    const runs = runsOf(settings.run, await modelsOf(url, settings.key))
    const loads = loadsOf(settings)
    transport = transportTo(settings.transport, url, settings.key ?? undefined)
    const screen = progress.isTTY ? new Screen(progress) : undefined
    const results = await measure({
      ...settings,
      transport,
      tokenizer: await loadTokenizer(TOKENIZER),
      prompts,
      runs,
      loads,
      signal,
      onProgress: (state) => screen?.draw([{ text: progressLine(state, progress.columns), style: 'note' }])
    })
    screen?.clear()
    output.write(`\n${table(results)}\n\n${verdicts(results).join('\n')}\n`)
    if (settings.json !== null) {
      const { key: _, ...asked } = settings
      const machine = `${availableCores()} cores ${cpus()[0]?.model ?? ''}`.trim()
      const content = {
        fewstep: fewstepVersion,
        date: new Date().toISOString(),
        machine,
        settings: asked,
        results
      }
      await writeFile(settings.json, `${JSON.stringify(content, null, 2)}\n`)
    }
  } finally {
    await transport?.close()
    await own?.stop()
  }
}

async function readPrompts(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`--prompts: expected a file of prompts, got ${file} (${error.code})`)
  })
  const prompts = text.split('\n').filter((line) => line.trim())
  if (prompts.length === 0) throw new ConfigError(`--prompts: expected a prompt a line, got none in ${file}`)
  return prompts
}

async function modelsOf(url: string, key: string | null): Promise<Model[]> {
  try {
    return await new FewstepClient(url, { retries: 0, ...(key && { apiKey: key }) }).models()
  } catch (error) {
    if (error instanceof DisconnectedError || error instanceof TypeError)
      throw new ConfigError(`--url: expected a fewstep server that runs, got ${url} (${error.message})`)
    throw error
  }
}

function runsOf(wishes: readonly RunWish[], models: readonly Model[]): Run[] {
  const wanted = wishes.length > 0 ? wishes : models.map(({ id }) => ({ model: id }))
  return wanted.map(({ model, steps }: RunWish) => {
    const served = models.find(({ id }) => id === model)
    const names = models.map(({ id }) => id).join(', ')
    if (!served) throw new ConfigError(`--run: expected one of ${names}, got "${model}"`)
    return { model, steps: steps ?? served.steps.default }
  })
}

function loadsOf({ concurrency, rate, arrivals }: BenchSettings): Load[] {
  if (rate.length > 0) return rate.map((rate) => ({ kind: 'open', rate, arrivals }))
  return concurrency.map((concurrency) => ({ kind: 'closed', concurrency: Math.ceil(concurrency) }))
}

function progressLine({ load, run, done, share }: Progress, columns: number): string {
  const width = Math.max(10, Math.min(40, columns - 60))
  const bar = '█'.repeat(Math.round(share * width)).padEnd(width, '░')
  return `${bar} ${Math.round(100 * share)} %  ${loadName(load)}: ${nameOf(run)}, ${done} done`
}
