import { setTimeout as delay } from 'node:timers/promises'
import { Circuit } from './circuit.js'
import {
  type Denoiser,
  DenoiserLost,
  type Device,
  type Outage,
  type Pass,
  type Revealed
} from './denoiser.js'
import { type ChildOptions, DenoiserChild, NotBegun } from './denoiser-child.js'
import { type FirstChild, startFirst } from './first-child.js'
import type { Manifest } from './manifest.js'
import { checkModelFiles } from './model-files.js'
import { warmUpPass } from './warm-up-pass.js'
import { withoutPaths } from './without-paths.js'

export interface DenoiserOptions {
  readonly device: 'auto' | Device
  /** Which GPU. */
  readonly deviceId: number
  /** Threads of a pass on the CPU. */
  readonly threads: number
  /** A pass that takes longer is hung: its process is killed and replaced. */
  readonly passTimeoutMs: number
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** Gives the start up: its process is killed. Not to be aborted later. */
  readonly signal?: AbortSignal | undefined
  /** The program to run; the denoiser's process unless given. */
  readonly program?: URL
}

/** Waits before a process is replaced, by failures in a row. */
const BACK_OFF_MS = [0, 0, 100, 200, 400, 800]

/**
 * A denoiser in a process of its own, which this owns: it starts it, kills it when a pass hangs, and replaces it when it
 * ends. `session.run` blocks its thread and cannot be cancelled; over there it blocks nobody, and a crash costs one pass.
 *
 *   start -> alive -> ended -> (back-off) -> successor alive -> ...
 *
 * When one after the other fails the circuit opens: passes are refused until one of a fresh process has succeeded.
 */
export class RemoteDenoiser implements Denoiser {
  readonly manifest: Manifest
  readonly device: Device
  readonly parallel = 1
  /** Why `auto` chose the CPU, as all that clients are told: without paths, which the log has. */
  readonly fallback: string | null
  readonly #options: ChildOptions
  readonly #log: DenoiserOptions['log']
  readonly #closing: AbortController
  #child: DenoiserChild
  #successor: Promise<DenoiserChild> | undefined
  readonly #circuit: Circuit
  #restarts = 0

  private constructor(
    { child, options, fallback }: FirstChild,
    log: DenoiserOptions['log'],
    closing: AbortController
  ) {
    this.manifest = options.manifest
    this.device = options.device
    this.fallback = fallback && withoutPaths(fallback, options.folder)
    this.#options = options
    this.#log = log
    this.#closing = closing
    this.#circuit = new Circuit(() => this.#tryOut(), closing.signal)
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
    { device, log, signal, ...options }: DenoiserOptions
  ): Promise<RemoteDenoiser> {
    const onLine = (line: string) => log('warn', `${manifest.name}: ${line}`)
    const closing = new AbortController()
    signal?.addEventListener('abort', () => closing.abort(), { once: true })
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
    return this.#child.alive && !this.outage
  }

  get outage(): Outage | undefined {
    const outage = this.#circuit.outage
    return outage && { ...outage, reason: withoutPaths(outage.reason, this.#options.folder) }
  }

  /** Passes run in the order in which they come; one that waits lies ready in the process. */
  async run(pass: Pass): Promise<Revealed> {
    for (;;) {
      try {
        const child = await this.#present()
        const revealed = await child.run(pass)
        this.#circuit.succeed()
        return revealed
      } catch (error) {
        this.#throwIfClosed()
        if (error instanceof NotBegun) continue
        const failure = error as Error
        // A process that ended is counted, and logged, when it is seen to end; what was refused did not fail.
        if (!(failure instanceof DenoiserLost || this.outage)) {
          this.#log('warn', `${this.manifest.name}: a pass failed: ${failure.message}`)
          this.#fail(failure.message)
        }
        failure.message = withoutPaths(failure.message, this.#options.folder)
        throw failure
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
    this.#throwIfOut()
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
      this.#fail(ending)
      this.#present().catch(() => {}) // logged there; a pass that waits is told as well
    })
  }

  /** @throws {Error} when the circuit opens before a successor has started */
  async #replace(): Promise<DenoiserChild> {
    const { signal } = this.#closing
    await this.#child.ended // two at once would need the memory of two
    for (;;) {
      this.#throwIfOut()
      await delay(BACK_OFF_MS[this.#circuit.failures], undefined, { signal })
      try {
        return await this.#startSuccessor()
      } catch (error) {
        if (signal.aborted) throw error
        const { message } = error as Error
        this.#log('error', `${this.manifest.name}: the denoiser's process could not be replaced: ${message}`)
        this.#fail(`its process could not be replaced: ${message}`)
      }
    }
  }

  /** It runs on the device of the first, so that the same pass reveals the same tokens. */
  async #startSuccessor(): Promise<DenoiserChild> {
    this.#restarts++
    // With other weights the texts under way would go on as other texts.
    await checkModelFiles(this.#options.folder, this.manifest)
    this.#child = await DenoiserChild.start(this.#options)
    this.#watch(this.#child)
    return this.#child
  }

  #fail(reason: string): void {
    const wasOut = this.outage !== undefined
    this.#circuit.fail(reason)
    if (this.outage && !wasOut) this.#log('error', `${this.manifest.name}: out of service: ${reason}`)
  }

  /** A pass of a process that knows nothing of those before it. */
  async #tryOut(): Promise<void> {
    await this.#successor?.catch(() => {})
    this.#successor = this.#child
      .kill('its passes failed')
      .then(() => this.#startSuccessor())
      .finally(() => {
        this.#successor = undefined
      })
    const child = await this.#successor
    await child.run(warmUpPass(this.manifest, 1, 1))
    this.#log('info', `${this.manifest.name}: in service again`)
  }

  #throwIfOut(): void {
    if (this.outage) throw new Error(`out of service: ${this.outage.reason}`)
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new Error('the denoiser is closed')
  }
}
