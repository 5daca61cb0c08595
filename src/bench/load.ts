import { wait } from '../client/wait.js'
import type { CompletionRequest } from '../schemas.js'
import { dueTimes } from './arrivals.js'
import type { Call, Caller } from './call.js'
import type { Slice } from './plan.js'
import { type Text, type Texts, textOf } from './text.js'

export interface LoadOptions {
  readonly caller: Caller
  readonly texts: Texts
  readonly temperature: number
  /** What a text of this run takes, by what is known so far: readers who leave do so within it. */
  readonly usualMs: () => number
  readonly signal: AbortSignal
  /** Told of each call as it ends. */
  readonly onCall: (call: Call, text: Text) => void
}

/** When a slice began and when it was over, but for what was still under way; on the clock of `performance.now()`. */
export interface Span {
  readonly start: number
  readonly stop: number
}

/** Puts a slice's load on the server, and waits for what is under way when it is over. */
export async function runSlice(slice: Slice, options: LoadOptions): Promise<Span> {
  const { load, round, seconds, requests } = slice
  const { signal, caller } = options
  const start = performance.now()
  const stop = start + 1000 * seconds
  let n = 0
  const one = async (due: number) => {
    const text = textOf(options.texts, round, n++)
    const { reader } = text
    const leavesAfterMs = typeof reader === 'object' ? reader.share * options.usualMs() : undefined
    const manner = { due, slow: reader === 'slow', leavesAfterMs }
    options.onCall(await caller.call(requestFor(slice, text, options), manner), text)
  }
  if (load.kind === 'closed') {
    const client = async () => {
      for (let now = start; n < requests && now < stop && !signal.aborted; now = performance.now())
        await one(now)
    }
    await Promise.all(Array.from({ length: load.concurrency }, client))
  } else {
    const calls: Promise<void>[] = []
    for (const due of dueTimes({ ...load, round, seconds, requests })) {
      // never before it is due: a timer may fire up to a millisecond early
      const waitMs = Math.ceil(start + due - performance.now())
      if (waitMs > 0) await wait(waitMs, signal).catch(() => {})
      if (signal.aborted) break
      calls.push(one(start + due))
    }
    await Promise.all(calls)
  }
  const over = Math.min(stop, caller.interruptedAt)
  return { start, stop: Number.isFinite(over) ? over : performance.now() }
}

function requestFor(
  { run }: Slice,
  { prompt, seed, maxTokens }: Text,
  { temperature }: LoadOptions
): CompletionRequest {
  const { model, steps } = run
  return { model, ...(steps !== null && { steps }), prompt, seed, max_tokens: maxTokens, temperature }
}
