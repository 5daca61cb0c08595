/** `fewstep generate`: one completion, drawn in the terminal while it takes shape, or written plainly to a pipe. */
import type { WriteStream } from 'node:tty'
import type { Config } from '../config.js'
import { Engine } from '../engine.js'
import type { CompletionRequest, SequenceEnd, SequenceStart, StepEnd } from '../schemas.js'
import { checkModels, modelFolders, startModels, stopModels } from '../served-models.js'
import { Draft } from './draft.js'
import { type Cell, harmless } from './lines.js'
import { Screen } from './screen.js'

export type GenerateRequest = CompletionRequest & { readonly prompt: string }

export interface GenerateOptions {
  readonly config: Config
  readonly output: WriteStream
  readonly signal: AbortSignal
}

/** Writes the whole text: prompt, completion and suffix. */
export async function generate(request: GenerateRequest, options: GenerateOptions): Promise<void> {
  const { config, output } = options
  const checked = await checkModels(modelFolders(config.model).slice(0, 1))
  const models = await startModels(checked, { config, log: logErrors })
  const { maxTextTokens } = config
  const engine = new Engine(models, { aliases: new Map(), maxTextTokens, maxTexts: 1 })
  try {
    const { start, end } = await complete(engine, request, options)
    const text = `${request.prompt}${end.text}${request.suffix ?? ''}`
    output.write(`${output.isTTY ? harmless(text) : text}\n`)
    if (output.isTTY) console.error(summary(start, end, models[0]!.denoiser.device))
  } finally {
    await stopModels(models)
  }
}

function logErrors(level: string, message: string): void {
  if (level === 'error') console.error(`fewstep: ${message}`)
}

async function complete(engine: Engine, request: GenerateRequest, options: GenerateOptions) {
  const { output, signal } = options
  const { tokenizer, denoiser } = engine.resolve(undefined)
  const screen = output.isTTY ? new Screen(output) : undefined
  const surroundings = { before: request.prompt, after: request.suffix ?? '' }
  let start: SequenceStart | undefined
  let draft: Draft | undefined
  try {
    for await (const event of engine.complete(request, { id: 'text', signal })) {
      if (event.type === 'sequence-start') {
        start = event
        draft = new Draft(event, { ...surroundings, tokenizer, endOfText: denoiser.manifest.eos_token })
        screen?.draw(draft.cells())
      } else if (event.type === 'step-end') {
        draft!.apply(event)
        screen?.draw([...draft!.cells(), progress(event)])
      } else {
        return { start: start!, end: event }
      }
    }
    throw new Error('Expected an end of the text, got none')
  } finally {
    screen?.clear()
  }
}

const progress = ({ step, of, masked }: StepEnd): Cell => ({
  text: `\n\nstep ${step} of ${of}, ${masked} masked`,
  style: 'note'
})

function summary(
  { model, seed, steps }: SequenceStart,
  { usage, timings }: SequenceEnd,
  device: string
): string {
  const seconds = (timings.total_ms / 1000).toFixed(2)
  return `${usage.completion_tokens} tokens in ${steps} steps, ${timings.passes} passes, ${seconds} s (${model} on ${device}, seed ${seed})`
}
