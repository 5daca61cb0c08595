import { setTimeout as delay } from 'node:timers/promises'
import type { CompletionRequest } from '../schemas.js'
import { dueTimes } from './arrivals.js'
import { type Call, call } from './call.js'
import { type Slice, type Text, textOf } from './plan.js'
import type { Transport } from './transport.js'

export interface LoadOptions {
  readonly transport: Transport
  readonly prompts: readonly string[]
  readonly maxTokens: number
  readonly temperature: number
  readonly signal: AbortSignal
  /** Told of each call as it ends. */
  readonly onCall: (call: Call, text: Text) => void
}

/** When a slice began and when its last request was due; on the clock of `performance.now()`. */
export interface Span {
  readonly start: number
  readonly stop: number
}

/** Puts a slice's load on the server, and waits for what is under way when its time is over. */
export async function runSlice(slice: Slice, options: LoadOptions): Promise<Span> {
  const start = performance.now()
  const stop = start + 1000 * slice.seconds
  const { load } = slice
  let n = 0
  const one = async (due: number) => {
    const text = textOf(options.prompts, slice.round, n++)
    options.onCall(await call(options.transport, requestFor(slice, text, options), due, options.signal), text)
  }
  if (load.kind === 'closed') {
    const client = async () => {
      for (let now = start; now < stop && !options.signal.aborted; now = performance.now()) await one(now)
    }
    await Promise.all(Array.from({ length: load.concurrency }, client))
  } else {
    const calls: Promise<void>[] = []
    for (const due of dueTimes(load.arrivals, load.rate, slice.seconds, slice.round)) {
      const wait = start + due - performance.now()
      if (wait > 0) await delay(wait, undefined, { signal: options.signal }).catch(() => {})
      if (options.signal.aborted) break
      calls.push(one(start + due))
    }
    await Promise.all(calls)
  }
  return { start, stop }
}

function requestFor({ run }: Slice, { prompt, seed }: Text, options: LoadOptions): CompletionRequest {
  const { maxTokens, temperature } = options
  return { model: run.model, steps: run.steps, prompt, seed, max_tokens: maxTokens, temperature }
}
