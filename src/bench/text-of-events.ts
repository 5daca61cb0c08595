/** What the events of one text tell, as they come. */
import { DisconnectedError } from '../client/client.js'
import type { SequenceEvent } from '../schemas.js'
import { Refusal } from './refusal.js'
import type { Written } from './transport.js'

/** Fewstep's own events. */
export class TextOfSteps {
  #steps = 0
  #firstStep: number | undefined
  #firstText: number | undefined
  #written: Written | undefined

  add(event: SequenceEvent): void {
    const now = performance.now()
    if (event.type === 'step-end') {
      this.#steps = event.step
      this.#firstStep ??= now
      if (event.delta) this.#firstText ??= now
    }
    if (event.type === 'sequence-end') {
      const { text, usage, timings } = event
      const times = { firstStep: this.#firstStep ?? now, firstText: this.#firstText ?? now }
      this.#written = { text, tokens: usage.completion_tokens, steps: this.#steps, timings, ...times }
    }
  }

  /** @throws {DisconnectedError} when the text has no end */
  get written(): Written {
    return this.#written ?? cutOff()
  }
}

/** The chunks that any OpenAI-compatible server streams. */
export class TextOfChunks {
  #text = ''
  #tokens: number | null = null
  #firstText: number | undefined
  #ended = false

  add(data: string): void {
    if (data === '[DONE]') {
      this.#ended = true
      return
    }
    const { choices, usage, error } = JSON.parse(data)
    if (error) throw new Refusal(String(error.message), String(error.code ?? error.type), false)
    const delta: string = choices?.[0]?.text ?? ''
    if (delta) this.#firstText ??= performance.now()
    this.#text += delta
    this.#tokens = usage?.completion_tokens ?? this.#tokens
  }

  /** @throws {DisconnectedError} when the text has no end */
  get written(): Written {
    if (!this.#ended) cutOff()
    const firstText = this.#firstText ?? performance.now()
    return { text: this.#text, tokens: this.#tokens, steps: null, timings: null, firstStep: null, firstText }
  }
}

function cutOff(): never {
  throw new DisconnectedError('The stream ended before the text did.')
}
