/** `fewstep bench`: models under load, side by side. */
import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import type { WriteStream } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { availableCores } from '../available-cores.js'
import { broken } from '../bench/assertion.js'
import { cautions } from '../bench/caution.js'
import type { MeasuredDocument } from '../bench/document.js'
import { measure, type Progress, type Result } from '../bench/measurement.js'
import { OutputFile } from '../bench/output-file.js'
import { startOwnServer } from '../bench/own-server.js'
import { checkJudge, Judge, type Perplexity } from '../bench/perplexity.js'
import { type Extent, type Load, loadName, nameOf, type Run, type TransportName } from '../bench/plan.js'
import { report } from '../bench/report.js'
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
  /** That judges, where `settings.judge` says so. */
  readonly python: string
  readonly output: WriteStream
  readonly progress: WriteStream
  readonly signal: AbortSignal
  /** To measure the same again. */
  readonly command: string
}

/** What the bundled models are compared at: how much their steps buy. */
const BUNDLED_RUNS: readonly RunWish[] = [
  ...[4, 8, 16].map((steps) => ({ model: 'student', steps })),
  ...[8, 16, 32].map((steps) => ({ model: 'teacher', steps }))
]

/**
 * Measures, and prints a table and a verdict; into files the report and what it rests on.
 * @returns whether all that was asserted holds
 */
export async function bench(options: BenchOptions): Promise<boolean> {
  const { settings, python, output, signal } = options
  if (settings.judge) await checkJudge(python)
  const files = {
    html: await OutputFile.at('html', settings.html),
    json: settings.json === null ? undefined : await OutputFile.at('json', settings.json)
  }
  try {
    const judge = settings.judge ? new Judge(python) : undefined
    const measured = await measureServer(options, judge)
    const [results, fault] = judge && !signal.aborted ? await judged(measured, judge) : [measured, []]
    const words = [...verdicts(results), ...cautions(results), ...fault]
    output.write(`\n${table(results)}\n\n${words.join('\n')}\n`)
    const document = documentOf(options, results)
    await files.html.write(report(document))
    await files.json?.write(`${JSON.stringify(document, null, 2)}\n`)
    output.write(`\nReport: ${files.html.path}\n`)
    const failures = broken(settings.assert, results)
    output.write(failures.map((failure) => `does not hold: ${failure}\n`).join(''))
    return failures.length === 0
  } finally {
    await Promise.all([files.html.discard(), files.json?.discard()])
  }
}

function documentOf({ settings, command }: BenchOptions, results: readonly Result[]): MeasuredDocument {
  const { key: _, ...asked } = settings
  return {
    fewstep: fewstepVersion,
    date: new Date().toISOString(),
    machine: `${availableCores()} cores ${cpus()[0]?.model ?? ''}`.trim(),
    command,
    settings: asked,
    results
  }
}

/** On a server that runs, or on one of its own, which has ended when this returns. */
async function measureServer({ settings, progress, signal }: BenchOptions, judge?: Judge): Promise<Result[]> {
  const prompts = settings.prompts === null ? [''] : await readPrompts(settings.prompts)
  const own = settings.url === null ? await startOwnServer() : undefined
  let transport: Transport | undefined
  try {
    const url = own?.url ?? settings.url!
    const { key } = settings
    const served = await servedAt(url, key)
    const runs = runsOf(own && settings.run.length === 0 ? BUNDLED_RUNS : settings.run, served)
    const loads = loadsOf(settings)
    transport = transportTo(transportName(settings, served), { url, key, kind: served.kind })
    const screen = progress.isTTY ? new Screen(progress) : undefined
    const results = await measure({
      ...settings,
      transport,
      watched: { url, key, pid: own?.pid },
      tokenizer: await loadTokenizer(TOKENIZER),
      texts: { ...settings, prompts },
      runs,
      loads,
      extent: extentOf(settings),
      signal,
      onProgress: (state) => screen?.draw([{ text: progressLine(state, progress.columns), style: 'note' }]),
      onText: (run, text, written) => judge?.add(run, text, written)
    })
    screen?.clear()
    return results
  } finally {
    await transport?.close()
    await own?.stop()
  }
}

/** The results with perplexities; what was measured is not lost when the judge fails. */
async function judged(results: Result[], judge: Judge): Promise<[Result[], fault: string[]]> {
  try {
    const perplexities = await judge.perplexities()
    return [results.map((result) => withPerplexity(result, perplexities.get(nameOf(result)))), []]
  } catch (error) {
    return [results, [`no perplexity: ${(error as Error).message}`]]
  }
}

const withPerplexity = (result: Result, perplexity?: Perplexity): Result =>
  perplexity ? { ...result, perplexity } : result

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
