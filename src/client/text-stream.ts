import type { ErrorBody } from '../errors.js'
import type { ErrorEvent } from '../messages.js'
import type { CompletionRequest, InfillRequest, SequenceEvent } from '../schemas.js'
import type { CallOptions } from './client.js'
import { DisconnectedError, FewstepError } from './fewstep-error.js'
import { Inbox } from './inbox.js'
import { resumedEvents } from './resumed-events.js'
import { type ServerAddress, send } from './server-address.js'
import { textsOf } from './texts-of.js'

/** What is used of a WebSocket: the browser's, that of Node.js 22, or that of `ws`. */
export interface WebSocketLike {
  send(data: string): void
  close(): void
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (message: { data: unknown }) => void): void
}
export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike

type Kind = 'completion' | 'infill'
type Request = CompletionRequest | InfillRequest
type Message = SequenceEvent | (ErrorEvent & { readonly id: string })

/** Many texts over one WebSocket, which is opened when the first is asked for, and again when it was lost. */
export class TextStream {
  readonly #server: ServerAddress
  readonly #retries: number
  readonly #webSocket: WebSocketClass
  readonly #inboxes = new Map<string, Inbox<Message>>()
  #socket: Promise<WebSocketLike> | undefined
  #lastId = 0

  constructor(server: ServerAddress, retries: number, webSocket?: WebSocketClass) {
    const known = webSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket
    if (!known) throw new TypeError('webSocket: expected a class such as that of `ws`, got none')
    this.#server = server
    this.#retries = retries
    this.#webSocket = known
  }

  complete(request: CompletionRequest, options: CallOptions = {}): AsyncGenerator<SequenceEvent> {
    return this.#run('completion', request, options)
  }

  infill(request: InfillRequest, options: CallOptions = {}): AsyncGenerator<SequenceEvent> {
    return this.#run('infill', request, options)
  }

  /** Ends all that is in work. */
  async close(): Promise<void> {
    const socket = await this.#socket?.catch(() => undefined)
    socket?.close()
  }

  #run(kind: Kind, request: Request, { signal, onRetry }: CallOptions): AsyncGenerator<SequenceEvent> {
    const attempt = (request: Request) => this.#attempt(kind, request, signal)
    return resumedEvents(request, attempt, { retries: this.#retries, signal, onRetry })
  }

  async *#attempt(kind: Kind, request: Request, signal?: AbortSignal): AsyncGenerator<SequenceEvent> {
    signal?.throwIfAborted()
    const socket = await this.#connect(signal)
    signal?.throwIfAborted() // it may have been, while the socket opened
    const id = `${++this.#lastId}`
    const inbox = new Inbox<Message>()
    const abort = () => inbox.fail(signal!.reason)
    signal?.addEventListener('abort', abort)
    this.#inboxes.set(id, inbox)
    socket.send(JSON.stringify({ type: kind, id, request }))
    try {
      for (let texts = textsOf(request); texts > 0; ) {
        const event = await inbox.take()
        if (event.type === 'error') {
          this.#inboxes.delete(id)
          throw new FewstepError(event.error as ErrorBody, event.retry_after_ms)
        }
        if (event.type === 'sequence-end' && --texts === 0) this.#inboxes.delete(id)
        yield event
      }
    } finally {
      signal?.removeEventListener('abort', abort)
      if (this.#inboxes.delete(id)) socket.send(JSON.stringify({ type: 'cancel', id }))
    }
  }

  async #connect(signal?: AbortSignal): Promise<WebSocketLike> {
    this.#socket ??= this.#open()
    try {
      return await this.#socket
    } catch {
      // A browser does not tell why a handshake was refused; a plain request for the same route is told.
      throw await send(this.#server, '/v1/stream', { signal }).catch((refusal) =>
        refusal instanceof FewstepError && refusal.code === 'upgrade_required'
          ? new DisconnectedError('No WebSocket could be opened.')
          : refusal
      )
    }
  }

  #open(): Promise<WebSocketLike> {
    const url = new URL('/v1/stream', this.#server.url)
    url.protocol = url.protocol.replace('http', 'ws')
    const { apiKey } = this.#server
    // browsers set no headers of a WebSocket: a key goes as a subprotocol
    const protocols = apiKey === undefined ? [] : ['fewstep', `fewstep.key.${apiKey}`]
    const socket = new this.#webSocket(url.href, protocols)
    socket.addEventListener('message', ({ data }) => this.#deliver(JSON.parse(String(data))))
    return new Promise((resolve, reject) => {
      socket.addEventListener('open', () => resolve(socket))
      socket.addEventListener('error', () => {}) // a close follows
      socket.addEventListener('close', () => {
        const lost = new DisconnectedError('The connection was lost.')
        this.#socket = undefined
        reject(lost)
        for (const inbox of this.#inboxes.values()) inbox.fail(lost)
        this.#inboxes.clear()
      })
    })
  }

  #deliver(message: Message): void {
    this.#inboxes.get(message.id)?.push(message)
  }
}
