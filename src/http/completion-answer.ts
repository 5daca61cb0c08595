/** Completions in OpenAI's shape. */
import type { Choice, Completion } from '../answers.js'
import type { Generation, ServedModel } from '../engine.js'
import type { CompletionRequest, Usage } from '../schemas.js'
import { effectiveParameters, type FinishedText, systemFingerprint, unixTime } from './generation-answer.js'
import { logprobsOf } from './logprobs.js'

/** Shapes the answer to one request; the stream and the whole answer are made of the same parts. */
export class CompletionAnswer {
  readonly #request: CompletionRequest
  readonly #model: ServedModel
  readonly #head: Omit<Completion, 'choices'>

  constructor(request: CompletionRequest, model: ServedModel, { id }: Generation) {
    this.#request = request
    this.#model = model
    this.#head = {
      id,
      object: 'text_completion',
      created: unixTime(),
      model: model.name,
      system_fingerprint: systemFingerprint(model)
    }
  }

  whole(texts: readonly FinishedText[]): Completion {
    const choices = texts.map((text) => ({
      ...this.end(text),
      text: this.echo(text.end.index) + text.end.text
    }))
    return { ...this.#head, choices, usage: this.usage(texts) }
  }

  chunk(choices: Choice[], more: Partial<Completion> = {}): Completion {
    return { ...this.#head, choices, ...more }
  }

  delta(index: number, text: string): Choice {
    return { index, text, logprobs: null, finish_reason: null }
  }

  /** The end of a choice, with all that is known of it but its text. */
  end({ start, end }: FinishedText): Choice {
    const { logprobs, echo } = this.#request
    const options = { echo: echo ?? false, alternatives: logprobs ?? 0, tokenizer: this.#model.tokenizer }
    return {
      index: end.index,
      text: '',
      logprobs: typeof logprobs === 'number' ? logprobsOf(end, options) : null,
      finish_reason: end.finish_reason,
      fewstep: { ...effectiveParameters(start), steps: start.steps, timings: end.timings }
    }
  }

  /** The prompt of a choice where it is wanted back, else nothing. */
  echo(index: number): string {
    const { echo, prompt, n } = this.#request
    if (!echo || prompt === null || prompt === undefined) return ''
    const single = typeof prompt === 'string' || typeof prompt[0] === 'number'
    const own = single ? prompt : prompt[Math.floor(index / (n ?? 1))]!
    return typeof own === 'string' ? own.toWellFormed() : this.#model.tokenizer.decode(own as number[])
  }

  /** Each prompt counts once, each completion that is returned counts. */
  usage(texts: readonly FinishedText[]): Usage {
    const n = this.#request.n ?? 1
    const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0)
    const prompts = texts.filter(({ end }) => end.index % n === 0)
    const prompt_tokens = sum(prompts.map(({ end }) => end.usage.prompt_tokens))
    const completion_tokens = sum(texts.map(({ end }) => end.usage.completion_tokens))
    return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
  }
}
