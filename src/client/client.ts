/** fewstep/client: the API for browsers and Node.js, without a dependency. */
import type { Completion, Infill, Model, ModelList } from '../answers.js'
import type { CompletionRequest, InfillRequest, SequenceEvent } from '../schemas.js'
import { Answer } from './answer.js'
import { DisconnectedError, FewstepError } from './fewstep-error.js'
import { Attempts, type Persistence, type Retry } from './persistence.js'
import { resumedEvents } from './resumed-events.js'
import { connected, type ServerAddress, send } from './server-address.js'
import { streamOverHttp } from './stream-over-http.js'
import { TextStream, type WebSocketClass } from './text-stream.js'

export type { ErrorBody, ErrorCode } from '../errors.js'
export type { Alternative, Reveal, SequenceEnd, SequenceStart, StepEnd, Timings, Usage } from '../schemas.js'
export type { Retry } from './persistence.js'
export type { Answer, Completion, CompletionRequest, Infill, InfillRequest, Model, SequenceEvent, TextStream }
export { DisconnectedError, FewstepError }

export interface ClientOptions {
  readonly apiKey?: string
  /** How often in a row to try again where that can help. Default 2. */
  readonly retries?: number
  /** The WebSocket to use; the global one unless given. Node.js 20 has none: give that of `ws`. */
  readonly webSocket?: WebSocketClass
}

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Told before each wait for another attempt. */
  readonly onRetry?: (retry: Retry) => void
}

export class FewstepClient {
  readonly #server: ServerAddress
  readonly #retries: number
  readonly #webSocket: WebSocketClass | undefined

  constructor(url: string | URL, { apiKey, retries = 2, webSocket }: ClientOptions = {}) {
    this.#server = { url: new URL(url), apiKey }
    this.#retries = retries
    this.#webSocket = webSocket
  }

  complete(request: CompletionRequest, options: CallOptions = {}): Answer<Completion> {
    return this.#answer('/v1/completions', request, options)
  }

  infill(request: InfillRequest, options: CallOptions = {}): Answer<Infill> {
    return this.#answer('/v1/infill', request, options)
  }

  /** One WebSocket for any number of texts at once. */
  stream(): TextStream {
    return new TextStream(this.#server, this.#retries, this.#webSocket)
  }

  async models(options: CallOptions = {}): Promise<Model[]> {
    return (await this.#fetch<ModelList>('/v1/models', undefined, options)).data
  }

  #answer<Whole>(
    path: string,
    request: CompletionRequest | InfillRequest,
    options: CallOptions
  ): Answer<Whole> {
    return new Answer<Whole>(
      () => this.#fetch(path, request, options),
      () => this.#stream(path, request, options)
    )
  }

  async #fetch<Body>(path: string, body: unknown, options: CallOptions): Promise<Body> {
    const { signal } = options
    const attempts = new Attempts(this.#persistence(options))
    for (;;) {
      try {
        const answer = await send(this.#server, path, { body, signal })
        return (await connected(answer.json(), signal)) as Body
      } catch (error) {
        await attempts.fail(error)
      }
    }
  }

  #stream(
    path: string,
    request: CompletionRequest | InfillRequest,
    options: CallOptions
  ): AsyncGenerator<SequenceEvent> {
    const attempt = (request: CompletionRequest | InfillRequest) =>
      streamOverHttp(this.#server, path, request, options.signal)
    return resumedEvents(request, attempt, this.#persistence(options))
  }

  #persistence({ signal, onRetry }: CallOptions): Persistence {
    return { retries: this.#retries, signal, onRetry }
  }
}
