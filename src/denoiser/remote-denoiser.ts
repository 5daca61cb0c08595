import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Denoiser, DenoiserLost, type Device, type Pass, type Revealed } from './denoiser.js'
import type { ProcessMessage, ProcessOptions } from './denoiser-messages.js'
import { loadManifest, type Manifest } from './manifest.js'
import { DeviceError, ModelError } from './model-error.js'

export interface DenoiserOptions {
  readonly device: 'auto' | Device
  readonly threads: number
  /** A pass that takes longer is hung: its process is killed and replaced. */
  readonly passTimeoutMs: number
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
}

/** Waits before each try to replace a lost process. */
const BACK_OFF_MS = [0, 100, 500, 2000]
/** Lines of the process's error output kept for the reason of its end. */
const KEPT_LINES = 5

interface InFlight {
  readonly id: number
  readonly pass: Pass
  readonly resolve: (revealed: Revealed) => void
  readonly reject: (error: Error) => void
}

/**
 * A denoiser in a process of its own, which this owns: it starts it, kills it when a pass hangs, and replaces it when it
 * ends. `session.run` blocks its thread and cannot be cancelled; over there it blocks nobody, and a crash costs one pass.
 */
export class RemoteDenoiser implements Denoiser {
  readonly manifest: Manifest
  readonly #process: ProcessOptions
  readonly #options: DenoiserOptions
  #child: ChildProcess | undefined
  #started: Promise<void> | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #inFlight: InFlight | undefined
  #device: Device = 'cpu'
  #fallback: string | null = null
  #lastLines: string[] = []
  #nextId = 1
  #restarts = 0
  #ready = false
  #closed = false

  private constructor(folder: string, manifest: Manifest, options: DenoiserOptions) {
    this.manifest = manifest
    this.#process = { folder, device: options.device, threads: options.threads }
    this.#options = options
  }

  /**
   * @throws {ModelError} when the folder cannot be served: one line that names file and field
   * @throws {DeviceError} when the device that was asked for cannot be had
   */
  static async start(folder: string, options: DenoiserOptions): Promise<RemoteDenoiser> {
    const denoiser = new RemoteDenoiser(folder, await loadManifest(folder), options)
    await denoiser.#spawn()
    denoiser.#started = Promise.resolve()
    return denoiser
  }

  get device(): Device {
    return this.#device
  }

  /** Why `auto` chose the CPU. */
  get fallback(): string | null {
    return this.#fallback
  }

  /** How often the process was replaced. */
  get restarts(): number {
    return this.#restarts
  }

  get ready(): boolean {
    return this.#ready
  }

  run(pass: Pass): Promise<Revealed> {
    const turn = this.#turn.then(() => this.#send(pass))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async close(): Promise<void> {
    this.#closed = true
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  async #send(pass: Pass): Promise<Revealed> {
    this.#started ??= this.#replace()
    await this.#started
    if (this.#closed) throw new Error('the denoiser was closed')
    const child = this.#child!
    const id = this.#nextId++
    const watchdog = setTimeout(() => {
      this.#options.log('error', `a pass took longer than ${this.#options.passTimeoutMs} ms`)
      child.kill('SIGKILL')
    }, this.#options.passTimeoutMs)
    try {
      return await new Promise<Revealed>((resolve, reject) => {
        this.#inFlight = { id, pass, resolve, reject }
        child.send({ id, pass }, (error) => {
          if (error) reject(new DenoiserLost(error.message))
        })
      })
    } finally {
      clearTimeout(watchdog)
      this.#inFlight = undefined
    }
  }

  /** Starts a process and resolves when it is ready to run passes. */
  async #spawn(): Promise<void> {
    const entry = fileURLToPath(new URL('./denoiser-process.js', import.meta.url))
    const child = fork(entry, [JSON.stringify(this.#process)], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc']
    })
    this.#child = child
    this.#lastLines = []
    createInterface(child.stderr!).on('line', (line) => {
      this.#lastLines = [...this.#lastLines, line].slice(-KEPT_LINES)
      this.#options.log('warn', `denoiser: ${line}`)
    })
    child.on('error', () => {}) // an exit follows, or a failed send
    child.once('exit', () => this.#onExit(child))
    const started = await new Promise<ProcessMessage>((resolve, reject) => {
      child.once('message', (message) => resolve(message as ProcessMessage))
      child.once('exit', () =>
        reject(new Error(`the denoiser ended while it started: ${this.#ending(child)}`))
      )
    })
    if (started.type !== 'ready') {
      child.kill('SIGKILL')
      throw startError(started)
    }
    this.#device = started.device
    this.#fallback = started.fallback
    this.#ready = true
    child.on('message', (message) => this.#onMessage(child, message as ProcessMessage))
  }

  #onMessage(child: ChildProcess, message: ProcessMessage): void {
    const inFlight = this.#inFlight
    const answers = inFlight && 'id' in message && message.id === inFlight.id
    if (answers && message.type === 'failed') inFlight.reject(new Error(message.message))
    else if (answers && message.type === 'revealed' && fits(message.revealed, inFlight.pass)) {
      inFlight.resolve(message.revealed)
    } else {
      this.#options.log('error', 'the denoiser sent something that is no answer to its pass')
      child.kill('SIGKILL')
    }
  }

  #onExit(child: ChildProcess): void {
    const wasReady = this.#ready
    this.#ready = false
    const lost = new DenoiserLost(`the denoiser ended during a pass: ${this.#ending(child)}`)
    this.#inFlight?.reject(lost)
    if (this.#closed || !wasReady) return
    this.#options.log('warn', `the denoiser ended (${this.#ending(child)}) and is replaced`)
    this.#started = this.#replace()
    this.#started.catch(() => {}) // who runs the next pass hears of it
  }

  /** Several tries; when none succeeds the passes that wait fail, and the next one tries again. */
  async #replace(): Promise<void> {
    let reason = new Error('the denoiser was closed')
    for (const ms of BACK_OFF_MS) {
      await delay(ms)
      if (this.#closed) throw reason
      try {
        this.#restarts++
        await this.#spawn()
        return
      } catch (error) {
        reason = error as Error
        this.#options.log('error', `the denoiser could not be replaced: ${reason.message}`)
      }
    }
    this.#started = undefined
    throw reason
  }

  #ending({ exitCode, signalCode }: ChildProcess): string {
    const how = signalCode ?? `code ${exitCode}`
    return [how, ...this.#lastLines].join(' | ')
  }
}

function startError(message: ProcessMessage): Error {
  if (message.type !== 'unusable') return new Error(`expected the denoiser to start, got ${message.type}`)
  if (message.name === 'ModelError') return new ModelError(message.message)
  if (message.name === 'DeviceError') return new DeviceError(message.message)
  return new Error(message.message)
}

function fits({ tokens, probabilities, alternativeTokens }: Revealed, pass: Pass): boolean {
  const rows = pass.rows.length
  const alternatives = pass.alternatives
    ? alternativeTokens.length % rows === 0
    : alternativeTokens.length === 0
  return tokens.length === rows && probabilities.length === rows && alternatives
}
