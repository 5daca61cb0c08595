import { setTimeout as delay } from 'node:timers/promises'
import type { Denoiser, Device, Pass, Revealed } from './denoiser.js'
import { type ChildOptions, DenoiserChild, NotBegun } from './denoiser-child.js'
import { type FirstChild, startFirst } from './first-child.js'
import type { Manifest } from './manifest.js'

export interface DenoiserOptions {
  readonly device: 'auto' | Device
  /** Which GPU. */
  readonly deviceId: number
  /** Threads of a pass on the CPU. */
  readonly threads: number
  /** A pass that takes longer is hung: its process is killed and replaced. */
  readonly passTimeoutMs: number
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
}

/** Waits before each try to replace a process; the last one from then on. They grow until a pass succeeds. */
const BACK_OFF_MS = [0, 100, 400, 1600]
/** Failed tries in a row after which the passes that wait are failed. */
const TRIES = 3
/** Time until a process is looked for again when no pass asks for one. */
const RETRY_MS = 10_000

/**
 * A denoiser in a process of its own, which this owns: it starts it, kills it when a pass hangs, and replaces it when it
 * ends. `session.run` blocks its thread and cannot be cancelled; over there it blocks nobody, and a crash costs one pass.
 *
 *   start -> alive -> ended -> (back-off) -> successor alive -> ...
 */
export class RemoteDenoiser implements Denoiser {
  readonly manifest: Manifest
  readonly device: Device
  readonly parallel = 1
  /** Why `auto` chose the CPU. */
  readonly fallback: string | null
  readonly #options: ChildOptions
  readonly #log: DenoiserOptions['log']
  readonly #closing: AbortController
  #child: DenoiserChild
  #successor: Promise<DenoiserChild> | undefined
  #restarts = 0
  /** Ends and failed starts since the last pass that succeeded. */
  #losses = 0

  private constructor(
    { child, options, fallback }: FirstChild,
    log: DenoiserOptions['log'],
    closing: AbortController
  ) {
    this.manifest = options.manifest
    this.device = options.device
    this.fallback = fallback
    this.#options = options
    this.#log = log
    this.#closing = closing
    this.#child = child
    this.#watch(child)
  }

  /**
   * Resolves when a process has opened the model.
   * @param manifest the folder's, which is known to be in order
   * @throws {ModelError} when the model cannot be opened: one line that names the file
   * @throws {DeviceError} when the device that was asked for cannot be had: one line
   */
  static async start(
    folder: string,
    manifest: Manifest,
    { device, log, ...options }: DenoiserOptions
  ): Promise<RemoteDenoiser> {
    const onLine = (line: string) => log('warn', `${manifest.name}: ${line}`)
    const closing = new AbortController()
    const common = { ...options, folder, manifest, onLine, signal: closing.signal }
    const first = await startFirst(device, common)
    if (first.fallback) log('info', `${manifest.name} runs on the CPU: ${first.fallback}`)
    return new RemoteDenoiser(first, log, closing)
  }

  /** How often a process was started to replace one that ended. */
  get restarts(): number {
    return this.#restarts
  }

  get ready(): boolean {
    return this.#child.alive
  }

  /** Passes run in the order in which they come; one that waits lies ready in the process. */
  async run(pass: Pass): Promise<Revealed> {
    for (;;) {
      try {
        const child = await this.#present()
        const revealed = await child.run(pass)
        this.#losses = 0
        return revealed
      } catch (error) {
        this.#throwIfClosed()
        if (!(error instanceof NotBegun)) throw error
      }
    }
  }

  /** Kills the process, with the pass it runs, and resolves when it is gone. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#child.ended
    await this.#successor?.catch(() => {})
  }

  /** The process of now, or its successor once it has started. */
  async #present(): Promise<DenoiserChild> {
    this.#throwIfClosed()
    if (this.#child.alive) return this.#child
    this.#successor ??= this.#replace().finally(() => {
      this.#successor = undefined
    })
    return this.#successor
  }

  /** A process that ends is replaced at once, not when the next pass comes. */
  #watch(child: DenoiserChild): void {
    child.ended.then((ending) => {
      if (this.#closing.signal.aborted) return
      this.#log('warn', `${this.manifest.name}: the denoiser's process ended and is replaced: ${ending}`)
      this.#present().catch(() => {}) // logged there; a pass that waits is told as well
    })
  }

  /**
   * The successor runs on the device of the first, so that the same pass reveals the same tokens.
   * @throws {Error} after several failed tries; a later call tries again
   */
  async #replace(): Promise<DenoiserChild> {
    const { signal } = this.#closing
    await this.#child.ended // two at once would need the memory of two
    for (let tries = 1; ; tries++) {
      await delay(BACK_OFF_MS[Math.min(this.#losses++, BACK_OFF_MS.length - 1)], undefined, { signal })
      this.#restarts++
      try {
        this.#child = await DenoiserChild.start(this.#options)
        this.#watch(this.#child)
        return this.#child
      } catch (error) {
        const { message } = error as Error
        if (signal.aborted) throw error
        this.#log('error', `${this.manifest.name}: the denoiser's process could not be replaced: ${message}`)
        if (tries < TRIES) continue
        setTimeout(() => this.#present().catch(() => {}), RETRY_MS).unref()
        throw new Error(`its process could not be replaced: ${message}`)
      }
    }
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new Error('the denoiser is closed')
  }
}
