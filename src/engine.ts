import { randomInt } from 'node:crypto'
import type { Denoiser } from './denoiser/denoiser.js'
import { Coins } from './diffusion/coin.js'
import { noiseSchedules } from './diffusion/noise-schedule.js'
import { Cancellation, RequestError } from './errors.js'
import type { Client } from './scheduler/fair-queue.js'
import type { PassReport } from './scheduler/pass-report.js'
import type { Scheduler } from './scheduler/scheduler.js'
import { type Priority, Sequence, type SequenceOptions, type SequenceWatch } from './scheduler/sequence.js'
import type { CompletionRequest, InfillRequest, Snapshot } from './schemas.js'
import { bestOf } from './text/best-of.js'
import { layOutCompletion, layOutInfill, type TextLayout } from './text/layout.js'
import { merge } from './text/merge.js'
import { Text, type TextEvent } from './text/text.js'
import type { Tokenizer } from './tokenizer/tokenizer.js'

export interface ServedModel<D extends Denoiser = Denoiser> {
  readonly name: string
  readonly denoiser: D
  readonly scheduler: Scheduler
  readonly tokenizer: Tokenizer
}

export interface EngineOptions {
  /** Other names of served models. */
  readonly aliases: ReadonlyMap<string, string>
  /** The longest text in tokens, windows included. */
  readonly maxTextTokens: number
  /** The most texts of one request: prompts times completions of each. */
  readonly maxTexts: number
  /** Told of every event of every text that is written, for metrics. */
  readonly onEvent?: (model: string, event: TextEvent, sequence: Sequence) => void
}

/** Is told how the texts of a request fare; each is named by its id. */
export interface TextWatch {
  onWaited(sequence: Sequence, id: string): void
  onPass(pass: PassReport, sequence: Sequence, id: string): void
}

/** A token of English has four; what holds ever so many is made to hold up the tokenizer. */
const CHARACTERS_PER_TOKEN = 96

export interface GenerationOptions {
  readonly id: string
  /** Aborted when the client leaves: its places are free again at once. */
  readonly signal: AbortSignal
  readonly priority?: Priority
  /** Whose it is: clients share the device by their weights. */
  readonly client?: Client | undefined
  readonly watch?: TextWatch | undefined
}

/** The texts of one request on their way. Iterate once; leaving the loop early frees their places. */
export interface Generation extends AsyncIterable<TextEvent> {
  readonly id: string
  readonly model: string
  readonly texts: number
  /** Every text that is part way, as its events so far tell it. */
  snapshot(): Snapshot[]
  /** Milliseconds until all texts are written. */
  msLeft(): number
}

/** Text in, steps of text out: the only place that knows both text and tokens. */
export class Engine<D extends Denoiser = Denoiser> {
  readonly models: readonly ServedModel<D>[]
  readonly #options: EngineOptions
  /** Generations that were not yet read to their end. */
  readonly #unread = new Set<Promise<void>>()

  constructor(models: readonly ServedModel<D>[], options: EngineOptions) {
    this.models = models
    this.#options = options
  }

  /** The model of this name or alias; the first one when no name is given. */
  resolve(name: string | null | undefined): ServedModel<D> {
    const wanted = name ?? this.models[0]!.name
    const model = this.models.find((served) => served.name === (this.#options.aliases.get(wanted) ?? wanted))
    if (model) return model
    const names = [...this.models.map((served) => served.name), ...this.#options.aliases.keys()].join(', ')
    throw new RequestError('model_not_found', `model: expected one of ${names}, got "${wanted}"`, {
      param: 'model'
    })
  }

  /** @throws {RequestError} at once when the request cannot be met or no place is left */
  complete(request: CompletionRequest, options: GenerationOptions): Generation {
    refuseUnsupported(request)
    const model = this.resolve(request.model)
    const n = request.n ?? 1
    const candidates = candidatesPerPrompt(request, n)
    const prompts = promptsOf(request)
    this.#checkTexts(prompts.length * candidates, request.best_of ? 'best_of' : request.n ? 'n' : 'prompt')
    model.scheduler.expectRoom(prompts.length * candidates, options.priority ?? 'interactive', options.client)
    this.#expectCharacters('prompt', [...prompts, request.suffix])
    const parts = { suffix: request.suffix ?? '', maxTokens: request.max_tokens ?? undefined }
    const layouts = prompts.flatMap((prompt) => {
      const layout = layOutCompletion({ prompt, ...parts }, this.#layoutContext(model))
      return Array.from({ length: candidates }, () => ({ ...layout, tokens: layout.tokens.slice() }))
    })
    const stop = [request.stop ?? []].flat().map((text) => text.toWellFormed())
    const generation = this.#generate(
      model,
      'completion',
      layouts,
      request,
      request.logprobs ?? 0,
      stop,
      options
    )
    if (candidates === n) return generation
    const best = bestOf(generation, candidates, n)
    return { ...generation, texts: prompts.length * n, [Symbol.asyncIterator]: () => best }
  }

  /** @throws {RequestError} at once when the request cannot be met or no place is left */
  infill(request: InfillRequest, options: GenerationOptions): Generation {
    const model = this.resolve(request.model)
    model.scheduler.expectRoom(1, options.priority ?? 'interactive', options.client)
    this.#expectCharacters('template', request.template)
    const layout = layOutInfill(request.template, this.#layoutContext(model))
    return this.#generate(model, 'infill', [layout], request, request.alternatives ?? 0, [], options)
  }

  /** Milliseconds until one of a client's texts is written; undefined where it has none. */
  msUntilOneEnds(client: Client): number | undefined {
    const ends = this.models.flatMap(({ scheduler }) => scheduler.msUntilOneEnds(client) ?? [])
    return ends.length > 0 ? Math.min(...ends) : undefined
  }

  /** Refuses new work and resolves when what was accepted is done and read, but for those whose client has left. */
  async drain(): Promise<void> {
    await Promise.all(this.models.map(({ scheduler }) => scheduler.drain()))
    await Promise.all(this.#unread)
  }

  #generate(
    model: ServedModel<D>,
    kind: 'completion' | 'infill',
    layouts: readonly TextLayout[],
    request: Sampling,
    alternatives: number,
    stop: readonly string[],
    { id, signal, priority = 'interactive', client, watch }: GenerationOptions
  ): Generation {
    const { name, scheduler, tokenizer } = model
    const { manifest } = model.denoiser
    const seed = request.seed ?? randomInt(2 ** 48 - 1)
    const sequences = layouts.map((layout, index) =>
      newSequence(model, layout, request, {
        alternatives,
        priority,
        client,
        coins: new Coins(seed, index),
        watch: watch && watchOf(watch, `${id}/${index}`)
      })
    )
    signal.throwIfAborted()
    scheduler.submit(sequences)
    const leave = () => scheduler.leave(sequences, cancellationBy(signal))
    signal.addEventListener('abort', leave, { once: true })
    const read = this.#untilRead(signal)
    const texts = sequences.map((sequence, index) => {
      const common = { id, index, kind, seed, stop, manifest, tokenizer, sequence }
      return new Text({ ...common, layout: layouts[index]!, leave: () => scheduler.leave([sequence]) })
    })
    const { onEvent } = this.#options
    async function* events() {
      try {
        const written = texts.map((text) => text.events())
        for await (const event of merge(written, leave)) {
          onEvent?.(name, event, sequences[event.index]!)
          yield event
        }
      } finally {
        signal.removeEventListener('abort', leave)
        leave()
        read()
      }
    }
    const started = events()
    return {
      id,
      model: name,
      texts: texts.length,
      snapshot: () => texts.flatMap((text) => text.snapshot() ?? []),
      msLeft: () => scheduler.msUntilGone(sequences),
      [Symbol.asyncIterator]: () => started
    }
  }

  /** @returns what to call when a generation was read; a client who has left reads no more */
  #untilRead(signal: AbortSignal): () => void {
    let read = () => {}
    const end = new Promise<void>((resolve) => {
      read = resolve
    }).then(() => {
      this.#unread.delete(end)
    })
    this.#unread.add(end)
    signal.addEventListener('abort', read, { once: true })
    return read
  }

  #layoutContext({ denoiser, tokenizer }: ServedModel<D>) {
    return { manifest: denoiser.manifest, tokenizer, maxTextTokens: this.#options.maxTextTokens }
  }

  /** What all strings of a request take to be encoded holds up everybody, so it is bounded. */
  #expectCharacters(param: string, parts: readonly unknown[]): void {
    const most = CHARACTERS_PER_TOKEN * this.#options.maxTextTokens
    const characters = parts.reduce<number>(
      (sum, part) => sum + (typeof part === 'string' ? part.length : 0),
      0
    )
    if (characters <= most) return
    const message = `${param}: expected at most ${most} characters in all, got ${characters}`
    throw new RequestError('context_length_exceeded', message, { param })
  }

  #checkTexts(texts: number, param: string): void {
    const { maxTexts } = this.#options
    if (texts <= maxTexts) return
    const message = `${param}: expected at most ${maxTexts} texts a request (prompts times completions), got ${texts}`
    throw new RequestError('invalid_request', message, { param })
  }
}

type Sampling = Pick<InfillRequest, 'steps' | 'temperature' | 'top_p' | 'top_k' | 'seed' | 'deadline_ms'>

function watchOf(watch: TextWatch, id: string): SequenceWatch {
  return {
    onWaited: (sequence) => watch.onWaited(sequence, id),
    onPass: (pass, sequence) => watch.onPass(pass, sequence, id)
  }
}

/** Why a request is given up. */
function cancellationBy({ aborted, reason }: AbortSignal): Cancellation {
  if (reason instanceof Cancellation) return reason
  return new Cancellation(aborted ? 'cancelled' : 'request_failed', 'The request was cancelled.')
}

function newSequence(
  { denoiser: { manifest }, scheduler }: ServedModel,
  { tokens, windows }: TextLayout,
  request: Sampling,
  more: Pick<SequenceOptions, 'alternatives' | 'priority' | 'client' | 'coins' | 'watch'>
): Sequence {
  const { min, max } = manifest.steps
  const steps = request.steps ?? manifest.steps.default
  if (steps < min || steps > max) {
    const message = `steps: expected ${min} to ${max} for ${manifest.name}, got ${steps}`
    throw new RequestError('invalid_request', message, { param: 'steps' })
  }
  const budgetMs = request.deadline_ms ?? undefined
  const rows = tokens.reduce((count, token) => count + Number(token === manifest.mask_token), 0)
  const size = { length: tokens.length, windows: windows.length, rows }
  const stepsWithin = (ms: number) =>
    Math.min(steps, scheduler.stepsWithin(ms, { ...size, client: more.client }))
  return new Sequence({
    tokens,
    maskToken: manifest.mask_token,
    windows,
    steps: budgetMs === undefined ? steps : stepsWithin(budgetMs),
    maskedShare: noiseSchedules[manifest.noise_schedule],
    ...more,
    temperature: request.temperature ?? 1,
    topP: request.top_p ?? 1,
    topK: request.top_k ?? 0,
    deadline: budgetMs === undefined ? undefined : performance.now() + budgetMs
  })
}

function promptsOf({ prompt }: CompletionRequest): (string | readonly number[])[] {
  if (prompt === null || prompt === undefined) return ['']
  if (typeof prompt === 'string') return [prompt]
  if (typeof prompt[0] === 'number') return [prompt as number[]]
  return prompt as string[] | number[][]
}

function candidatesPerPrompt({ best_of, stream }: CompletionRequest, n: number): number {
  const candidates = best_of || n
  if (candidates < n) {
    throw new RequestError('invalid_request', `best_of: expected at least n (${n}), got ${candidates}`, {
      param: 'best_of'
    })
  }
  if (candidates > n && stream) {
    const message = `best_of: expected at most n (${n}) with stream, got ${candidates}: the best is known only at the end`
    throw new RequestError('invalid_request', message, { param: 'best_of' })
  }
  return candidates
}

/** A field that asks for nothing is accepted; one that asks for what is not built is refused, never ignored. */
function refuseUnsupported({ frequency_penalty, presence_penalty, logit_bias }: CompletionRequest): void {
  const refuse = (param: string, expected: string, got: string) => {
    throw new RequestError(
      'unsupported_parameter',
      `${param}: expected ${expected}, got ${got}: not supported`,
      { param }
    )
  }
  if (frequency_penalty) refuse('frequency_penalty', '0', `${frequency_penalty}`)
  if (presence_penalty) refuse('presence_penalty', '0', `${presence_penalty}`)
  const biased = Object.entries(logit_bias ?? {}).find(([, bias]) => bias !== 0)
  if (biased) refuse('logit_bias', 'no bias other than 0', `${biased[1]} for token ${biased[0]}`)
}
