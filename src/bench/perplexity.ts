/** Generative perplexity of texts that were timed, by `python -m distill.judge`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { ConfigError } from '../setting.js'
import { nameOf, type Run } from './plan.js'
import { Samples } from './samples.js'
import type { Text } from './text.js'

/** Of the texts of a run, with its 95 % interval. */
export interface Perplexity {
  readonly value: number
  readonly low: number
  readonly high: number
  readonly texts: number
  /** The autoregressive model that read them. */
  readonly judge: string
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const CHECK = 'import transformers, distill.judge as judge; judge.find_judge()'

/** That texts can be judged, before any are written. @throws {ConfigError} */
export async function checkJudge(python: string): Promise<void> {
  const fault = await run(python, ['-c', CHECK])
  if (fault !== undefined)
    throw new ConfigError(
      `--judge: expected a Python with distill's packages (docs/judge.md), got ${python} (${fault})`
    )
}

/** Keeps texts of each run and has them judged. Under any load a run writes the same text from a seed, so they are kept once. */
export class Judge {
  readonly #python: string
  readonly #samples = new Map<string, [Run, Samples]>()

  constructor(python: string) {
    this.#python = python
  }

  add(run: Run, text: Text, written: string): void {
    const [, samples] = this.#samples.get(nameOf(run)) ?? [run, new Samples()]
    samples.add(text, written)
    this.#samples.set(nameOf(run), [run, samples])
  }

  /** By a run's name. @throws {Error} when the judge fails */
  async perplexities(): Promise<Map<string, Perplexity>> {
    const folder = await mkdtemp(join(tmpdir(), 'fewstep-bench-'))
    try {
      const file = join(folder, 'texts.jsonl')
      const texts = [...this.#samples.values()].flatMap(([run, { all }]) =>
        all.map((sample) => `${JSON.stringify({ ...run, ...sample })}\n`)
      )
      await writeFile(file, texts.join(''))
      const fault = await run(this.#python, ['-m', 'distill.judge', `--texts=${file}`, `--out=${folder}`])
      if (fault !== undefined) throw new Error(`distill.judge: ${fault}`)
      const { results, judge }: Judgement = JSON.parse(await readFile(join(folder, 'judge.json'), 'utf8'))
      return new Map(
        results.map((result) => [nameOf(result), { ...result.perplexity, texts: result.samples, judge }])
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  }
}

interface Judgement {
  readonly judge: string
  readonly results: readonly (Run & {
    readonly samples: number
    readonly perplexity: Pick<Perplexity, 'value' | 'low' | 'high'>
  })[]
}

/** Its last words when it fails. */
async function run(python: string, flags: readonly string[]): Promise<string | undefined> {
  const child = spawn(python, flags, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    const [words, [code]] = await Promise.all([readAll(child.stderr), once(child, 'close')])
    return code === 0 ? undefined : (words.trim().split('\n').at(-1) ?? `status ${code}`)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}
