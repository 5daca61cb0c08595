/** A whole server in this process: the real app, engine and scheduler around a denoiser of three tokens. */
import { on, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { buildApp } from '../src/app.js'
import type { BatchQueue } from '../src/batches/batch-queue.js'
import { Engine } from '../src/engine.js'
import type { GateOptions } from '../src/http/gate.js'
import type { HttpLimits } from '../src/http/http-options.js'
import { Metrics } from '../src/metrics.js'
import { Scheduler } from '../src/scheduler/scheduler.js'
import type { Phase, ServedDenoiser } from '../src/server-state.js'
import { loadTokenizer } from '../src/tokenizer/gpt2-tokenizer.js'
import type { Tracing } from '../src/tracing.js'
import { flatCost } from './scheduler/flat-cost.js'
import { TableDenoiser } from './table-denoiser.js'

export const tokenizer = await loadTokenizer('models/tokenizers/gpt2')

/** Three tokens, and how it is. Passes wait while it is held. */
export class HealthyDenoiser extends TableDenoiser implements ServedDenoiser {
  ready = true
  fallback: string | null = null
  restarts = 0

  get readyProcesses(): number {
    return Number(this.ready)
  }

  #held: Promise<void> | undefined
  #release = () => {}

  constructor() {
    super()
    this.before = () => this.#held
  }

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve
    })
  }

  /** Holds the pass of this number, counted from 1. Resolves when it is reached. */
  holdAt(pass: number): Promise<void> {
    return new Promise((resolve) => {
      this.before = () => {
        if (this.passes.length === pass) {
          this.hold()
          resolve()
        }
        return this.#held
      }
    })
  }

  release(): void {
    this.#held = undefined
    this.#release()
  }
}

export interface BuildOptions {
  readonly maxQueue?: number
  readonly maxBatchTokens?: number
  readonly limits?: Partial<HttpLimits>
  readonly security?: Partial<GateOptions>
  readonly trustProxy?: readonly string[]
  readonly tracing?: Tracing
  readonly logPrompts?: boolean
  readonly logger?: FastifyServerOptions['logger']
  readonly batches?: BatchQueue
}

export async function build(t: Test, options: BuildOptions = {}) {
  const { maxQueue = 100, maxBatchTokens = 1024, limits, logger, security, trustProxy = [] } = options
  const denoiser = new HealthyDenoiser()
  const metrics = new Metrics()
  const scheduler = new Scheduler(denoiser, {
    maxQueue,
    maxBacklogMs: Number.POSITIVE_INFINITY,
    maxBatchTokens,
    cost: flatCost(),
    prefer: 'latency',
    watch: metrics.follow('table')
  })
  const aliases = new Map([['gpt-3.5-turbo-instruct', 'table']])
  const engine = new Engine([{ name: 'table', denoiser, scheduler, tokenizer }], {
    aliases,
    onEvent: metrics.onEvent,
    maxTextTokens: 200,
    maxTexts: 8
  })
  const state: { phase: Phase } = { phase: 'ready' }
  const app = await buildApp({
    engine,
    aliases,
    metrics,
    batches: options.batches,
    limits: {
      bodyLimit: 10_000,
      maxSocketSequences: 4,
      heartbeatMs: 60_000,
      readerTimeoutMs: 60_000,
      maxConnections: 1000,
      maxAddressConnections: null,
      maxFileBytes: 100_000,
      maxDataBytes: 10_000_000,
      maxBatchLines: 1000,
      ...limits
    },
    phase: () => state.phase,
    security: {
      allowOrigin: [],
      local: true,
      maxRequestsPerMinute: 0,
      maxKeyRequests: 100,
      maxSocketSequences: 4,
      ...security
    },
    trustProxy,
    tracing: options.tracing,
    logPrompts: options.logPrompts ?? false,
    logger: logger ?? false
  })
  t.teardown(() => {
    scheduler.close()
    denoiser.release()
    return app.close()
  })
  return { app, engine, denoiser, scheduler, metrics, state }
}

/** Posts JSON without a socket. */
export async function post(app: FastifyInstance, url: string, body: unknown) {
  const headers = { 'content-type': 'application/json' }
  const answer = await app.inject({ method: 'POST', url, headers, payload: JSON.stringify(body) })
  return { status: answer.statusCode, headers: answer.headers, body: answer.json() }
}

/** Listens on a free port. */
export async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

export function postTo(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body), ...init })
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Gives the event loop turns until it is true. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate()
}

export interface Event {
  readonly event: string
  readonly data: string
  readonly id?: string | undefined
}

/** The events of a finished stream, comments left out. */
export function parseEvents(text: string): Event[] {
  return text
    .split('\n\n')
    .filter((block) => block && !block.startsWith(':'))
    .map((block) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      return { event: field('event') ?? 'message', data: field('data') ?? '', id: field('id') }
    })
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into events freely
type Message = any

/** A WebSocket whose messages are read one by one, in order. */
export class Socket {
  readonly ws: WebSocket
  readonly #messages: AsyncIterator<Buffer[]>

  private constructor(ws: WebSocket, messages: AsyncIterator<Buffer[]>) {
    this.ws = ws
    this.#messages = messages
  }

  static async open(t: Test, address: string, headers = {}): Promise<Socket> {
    const ws = new WebSocket(`${address.replace('http', 'ws')}/v1/stream`, { headers })
    t.teardown(() => ws.terminate())
    const messages = on(ws, 'message')
    await once(ws, 'open')
    return new Socket(ws, messages)
  }

  send(message: unknown): void {
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  async next(): Promise<Message> {
    const { value } = await this.#messages.next()
    return JSON.parse(value[0].toString())
  }

  /** Messages up to the first that fits, which is the last. */
  async readUntil(fits: (message: Message) => boolean): Promise<Message[]> {
    const messages = []
    do messages.push(await this.next())
    while (!fits(messages.at(-1)))
    return messages
  }
}
