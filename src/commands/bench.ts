/** `fewstep bench`: models under load, side by side. */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import type { WriteStream } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { availableCores } from '../available-cores.js'
import { cautions } from '../bench/caution.js'
import { measure, type Progress } from '../bench/measurement.js'
import { startOwnServer } from '../bench/own-server.js'
import { type Extent, type Load, loadName, nameOf, type Run, type TransportName } from '../bench/plan.js'
import { type Served, servedAt } from '../bench/served.js'
import { table } from '../bench/table.js'
import { type Transport, transportTo } from '../bench/transport.js'
import { verdicts } from '../bench/verdict.js'
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
    const { key } = settings
    const served = await servedAt(url, key)
    const runs = runsOf(settings.run, served)
    const loads = loadsOf(settings)
    transport = transportTo(transportName(settings, served), { url, key, kind: served.kind })
    const screen = progress.isTTY ? new Screen(progress) : undefined
    const results = await measure({
      ...settings,
      transport,
      tokenizer: await loadTokenizer(TOKENIZER),
      texts: { ...settings, prompts },
      runs,
      loads,
      extent: extentOf(settings),
      signal,
      onProgress: (state) => screen?.draw([{ text: progressLine(state, progress.columns), style: 'note' }])
    })
    screen?.clear()
    const words = [...verdicts(results), ...cautions(results)]
    output.write(`\n${table(results)}\n\n${words.join('\n')}\n`)
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

function runsOf(wishes: readonly RunWish[], { kind, models }: Served): Run[] {
  const wanted = wishes.length > 0 ? wishes : models.map(({ id }) => ({ model: id }))
  return wanted.map(({ model, steps }: RunWish) => {
    const found = models.find(({ id }) => id === model)
    const names = models.map(({ id }) => id).join(', ')
    if (!found) throw new ConfigError(`--run: expected one of ${names}, got "${model}"`)
    if (kind === 'openai' && steps !== undefined)
      throw new ConfigError(
        `--run: expected a model without steps, which this server does not take, got "${model}:${steps}"`
      )
    return { model, steps: steps ?? found.steps }
  })
}

function transportName({ transport }: BenchSettings, { kind }: Served): TransportName {
  if (kind === 'openai' && transport === 'websocket')
    throw new ConfigError(
      '--transport: expected sse or http, since the server is not fewstep, got "websocket"'
    )
  return transport ?? (kind === 'fewstep' ? 'websocket' : 'sse')
}

const extentOf = ({ seconds, requests }: BenchSettings): Extent => ({
  seconds: requests === null ? seconds : Number.POSITIVE_INFINITY,
  requests: requests ?? Number.POSITIVE_INFINITY
})

function loadsOf({ concurrency, rate, arrivals }: BenchSettings): Load[] {
  if (rate.length > 0) return rate.map((rate) => ({ kind: 'open', rate, arrivals }))
  return concurrency.map((concurrency) => ({ kind: 'closed', concurrency: Math.ceil(concurrency) }))
}

function progressLine({ load, run, done, share }: Progress, columns: number): string {
  const width = Math.max(10, Math.min(40, columns - 60))
  const bar = '█'.repeat(Math.round(share * width)).padEnd(width, '░')
  return `${bar} ${Math.round(100 * share)} %  ${loadName(load)}: ${nameOf(run)}, ${done} done`
}
