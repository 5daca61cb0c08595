import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { ServedModel } from '../engine.js'
import { RequestError } from '../errors.js'
import type { CompletionRequest, InfillRequest, Reveal } from '../schemas.js'
import type { TextEvent } from '../text/text.js'
import { systemFingerprint } from './generation-answer.js'

type Request = CompletionRequest | InfillRequest

/** What the reader of a stream has been told of one text. */
export interface Told {
  /** The last step; -1 before the text has started. */
  readonly step: number
  /** Length of all deltas together. */
  readonly chars: number
  /** Of all reveals together. */
  readonly check: number
  readonly ended: boolean
}

const NOTHING: Told = { step: -1, chars: 0, check: 0, ended: false }

/** `<request>.<seed>` and for each text `.<step>_<chars>_<check>`, with `_end` behind where it has ended. */
const ID = /^([0-9a-f]{12})\.(\d{1,16})((?:\.-?\d{1,9}_\d{1,9}_\d{1,10}(?:_end)?)+)$/

/**
 * How far the reader of a stream has come, as the id of the last event. Same seed, same text: so the id is all that is needed to
 * go on, on any server of the same model, and nothing is kept for readers who may never come back.
 */
export class Bookmark {
  readonly #request: string
  readonly #texts: Told[] = []
  #seed: number | null

  private constructor(request: string, seed: number | null) {
    this.#request = request
    this.#seed = seed
  }

  /**
   * The bookmark of a stream that begins, or goes on behind the event of this id.
   * @throws {RequestError} `not_resumable`
   */
  static at(id: string | undefined, { seed, ...request }: Request, model: ServedModel): Bookmark {
    const bookmark = new Bookmark(identify(request, model), seed ?? null)
    if (!id) return bookmark
    if (request.deadline_ms)
      throw notResumable('a request without deadline_ms, whose steps depend on the moment')
    const [, stream, drawn, texts] = ID.exec(id) ?? []
    if (stream !== bookmark.#request || Number(drawn) !== (seed ?? Number(drawn))) throw notResumable()
    bookmark.#seed = Number(drawn)
    for (const text of texts!.slice(1).split('.')) {
      const [step, chars, check, end] = text.split('_')
      bookmark.#texts.push({
        step: Number(step),
        chars: Number(chars),
        check: Number(check),
        ended: end !== undefined
      })
    }
    return bookmark
  }

  /** The seed that was asked for, or drawn before; null where one is to be drawn. */
  get seed(): number | null {
    return this.#seed
  }

  told(index: number): Told {
    return this.#texts[index] ?? NOTHING
  }

  /** Notes an event as told. */
  add(event: TextEvent): void {
    const { index } = event
    const told = this.told(index)
    if (event.type === 'sequence-start') {
      this.#seed = event.seed
      this.#texts[index] = { ...told, step: 0 }
    } else if (event.type === 'step-end') {
      const { step, delta = '', reveals } = event
      const chars = told.chars + delta.length
      this.#texts[index] = { ...told, step, chars, check: checkOf(reveals, told.check) }
    } else {
      this.#texts[index] = { ...told, ended: true }
    }
  }

  get id(): string {
    const texts = Array.from(this.#texts, (_, index) => {
      const { step, chars, check, ended } = this.told(index)
      return `${step}_${chars}_${check}${ended ? '_end' : ''}`
    })
    return [this.#request, this.#seed, ...texts].join('.')
  }
}

/** A request apart from its seed, and whatever else decides the text. */
function identify(request: Request, model: ServedModel): string {
  const whole = JSON.stringify([systemFingerprint(model), model.name, { ...request, model: undefined }])
  return createHash('sha256').update(whole).digest('hex').slice(0, 12)
}

/** Of reveals, and of those before them. */
export function checkOf(reveals: readonly Reveal[], before: number): number {
  return crc32(reveals.map(({ position, token }) => `${position}:${token} `).join(''), before)
}

export function notResumable(
  expected = 'the id of an event of this very request on this very model'
): RequestError {
  const message = `last-event-id: expected ${expected}; ask without it`
  return new RequestError('not_resumable', message, { param: 'last-event-id' })
}
