import { setMaxListeners } from 'node:events'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { BatchResult } from '../answers.js'
import { Cancellation, RequestError } from '../errors.js'
import type { BatchLine } from '../schemas.js'
import { answered, type CheckLine, refused } from './batch-lines.js'
import { type BatchQueue, readerOf, type TakenLine } from './batch-queue.js'
import { leadBatch } from './lead-batch.js'

export interface BatchWorkOptions {
  readonly queue: BatchQueue
  /** Checks a line as the live endpoint would. */
  readonly check: CheckLine
  /** Answers a line as the live endpoint would, at low priority. */
  readonly answer: (request: BatchLine, signal: AbortSignal) => Promise<unknown>
  readonly maxLineBytes: number
  readonly log: (level: 'info' | 'warn', message: string) => void
}

/** Batches that one server leads at once: their lines take turns. */
const LEADS = 4

/** Lines in work at once: as many short texts as a pass or two hold. */
const LINES = 128

/** Between two tries of what did not work. */
const AGAIN_MS = 1000

/** How often files and batches whose time is over are looked for. */
const SWEEP_MS = 60_000

/** Errors of a line that pass by themselves. */
const passing: ReadonlySet<string> = new Set(['overloaded', 'loading', 'unavailable'])

/** What one server does for offline batches: leads some, runs lines of any. */
export class BatchWork {
  readonly #options: BatchWorkOptions
  readonly #stop = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #trouble: string | null = null

  constructor(options: BatchWorkOptions) {
    this.#options = options
    setMaxListeners(0, this.#stop.signal) // each line in work is one
  }

  start(): void {
    const leads = Array.from({ length: LEADS }, () => this.#repeat(() => this.#leadNext()))
    this.#running = Promise.all([...leads, this.#runLines(), this.#repeat(() => this.#sweep())])
  }

  /** Ends at once: what was not finished is taken up again, here or elsewhere. */
  async stop(): Promise<void> {
    this.#stop.abort(new Cancellation('shutdown', 'The server is shutting down.'))
    await this.#running
  }

  /** The work again and again; what fails is said and tried again in a while. */
  async #repeat(work: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) await this.#insist(work).catch(() => {})
  }

  async #leadNext(): Promise<void> {
    const { signal } = this.#stop
    const lead = await this.#options.queue.lead(signal)
    if (!lead) return
    await this.#insist(() => leadBatch(lead.batchId, { ...this.#options, signal }))
    await this.#insist(() => lead.end())
  }

  async #runLines(): Promise<void> {
    const inWork = new Set<Promise<void>>()
    await this.#repeat(async () => {
      if (inWork.size >= LINES) await Promise.race(inWork)
      const taken = await this.#options.queue.take(this.#stop.signal)
      if (!taken) return
      await setImmediate() // to read its prompt may take a while: everything else has its turn between two lines
      const work = this.#runLine(taken)
        .catch(() => {}) // stopped
        .finally(() => inWork.delete(work))
      inWork.add(work)
    })
    await Promise.all(inWork)
  }

  /** @throws once stopped */
  async #runLine(taken: TakenLine): Promise<void> {
    const result = await this.#run(taken)
    await this.#insist(() => taken.settle(result))
  }

  async #run({ batchId, line, seed, request }: TakenLine): Promise<BatchResult> {
    const { signal } = this.#stop
    const body = { ...request.body, seed: (request.body as { seed?: number | null }).seed ?? seed }
    for (;;) {
      try {
        const answer = await this.#options.answer({ ...request, body }, signal)
        return answered(batchId, line, request.custom_id, answer)
      } catch (error) {
        signal.throwIfAborted() // nobody knows how it would have ended
        const known = error instanceof RequestError ? error : this.#unexpected(error as Error)
        if (!passing.has(known.code)) return refused(batchId, line, request.custom_id, known)
        await setTimeout(Math.max(known.retryAfterMs ?? 0, AGAIN_MS), undefined, { signal })
      }
    }
  }

  #unexpected(error: Error): RequestError {
    this.#options.log('warn', `batches: a line failed unexpectedly: ${error.stack}`)
    return new RequestError('internal_error', 'The server failed unexpectedly; its log says more.')
  }

  /** Forgets batches that ended long ago, and removes files whose time is over, but for those that a batch still reads. */
  async #sweep(): Promise<void> {
    const { queue } = this.#options
    for await (const { batch } of queue.batches.list({ over: true })) await queue.batches.delete(batch.id)
    for await (const { file } of queue.files.list({ over: true })) {
      if (await readerOf(file.id, queue)) continue
      await queue.files.delete(file.id)
      await queue.erase(file.id)
    }
    await setTimeout(SWEEP_MS, undefined, { signal: this.#stop.signal })
  }

  /** Says what failed; what all fail of, as while the queue cannot be reached or its disk is full, once. */
  #complain({ message }: Error): void {
    const trouble = this.#options.queue.trouble ?? message
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    this.#options.log('warn', `batches: ${trouble}; tried again every ${AGAIN_MS} ms`)
  }

  /** @throws once stopped */
  async #insist(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop
    for (let failed = false; ; failed = true) {
      try {
        await work()
        if (failed) this.#trouble = null
        return
      } catch (error) {
        signal.throwIfAborted()
        this.#complain(error as Error)
        await setTimeout(AGAIN_MS, undefined, { signal })
      }
    }
  }
}
