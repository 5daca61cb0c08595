import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { ANSWERS } from './answer-owner.js'
import { Channel } from './channel.js'
import { CUDA_ADVICE } from './cuda-provider.js'
import { DenoiserLost, type Device, type Pass, type Revealed } from './denoiser.js'
import { ErrorOutput } from './error-output.js'
import type { Manifest } from './manifest.js'
import { type Answer, type AnswerTo, isAnswer, type Question } from './messages.js'
import { DeviceError, ModelError } from './model-error.js'

export interface ChildOptions {
  readonly folder: string
  readonly manifest: Manifest
  readonly device: Device
  readonly deviceId: number
  readonly threads: number
  /** A pass that takes longer is hung. */
  readonly passTimeoutMs: number
  /** Called with every line of the process's error output. */
  readonly onLine: (line: string) => void
  /** Ends the process, whatever it does. */
  readonly signal: AbortSignal
  /** The program to run. */
  readonly program?: URL
}

interface Asked {
  readonly id: number
  readonly question: Question
  readonly timeoutMs: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

/** The process ended before it came to this pass, which therefore had no part in that: another process may run it. */
export class NotBegun extends Error {
  override readonly name = 'NotBegun'
}

/** Weights may come from a slow disk; what takes longer than this does not come at all. */
const LOAD_TIMEOUT_MS = 180_000

const PROGRAM = new URL('./denoiser-process.js', import.meta.url)

/**
 * One life of a denoiser's process. It works on one question at a time, and finds the next one there when it has answered. It is
 * killed when it answers wrongly or not in time.
 */
export class DenoiserChild {
  /** Resolves with how it ended when the process is gone. */
  readonly ended: Promise<string>
  readonly #options: ChildOptions
  readonly #process: ChildProcess
  readonly #errors: ErrorOutput
  readonly #channel: Channel | undefined
  #alive = true
  /** In the order of asking: it works on the first. */
  readonly #asked: Asked[] = []
  #watchdog: NodeJS.Timeout | undefined
  #lastId = 0
  /** Why it was killed. */
  #fault: string | undefined

  private constructor(options: ChildOptions) {
    this.#options = options
    const { manifest, onLine, signal, program = PROGRAM } = options
    // The argument tells the processes of several models apart in a list of processes; nothing reads it.
    this.#process = spawn(process.execPath, [...process.execArgv, fileURLToPath(program), manifest.name], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGKILL'
    })
    this.#errors = new ErrorOutput(this.#process.stderr ?? null, onLine)
    this.#channel = this.#openChannel()
    this.ended = new Promise((resolve) => {
      // `close` follows `exit` when the error output, which may hold the reason, has been read to its end.
      this.#process.once('close', async (code, signalName) => {
        await this.#errors.ended
        resolve(this.#end(signalName ?? `code ${code}`))
      })
      this.#process.on('error', (error) => {
        if (this.#process.pid === undefined) resolve(this.#end(error.message))
      })
    })
  }

  /**
   * Starts a process and resolves when it has opened the model.
   * @throws {ModelError | DeviceError} one line
   */
  static async start(options: ChildOptions): Promise<DenoiserChild> {
    const { folder, manifest, device, deviceId, threads } = options
    const child = new DenoiserChild(options)
    try {
      await child.#ask({ type: 'load', folder, manifest, device, deviceId, threads }, LOAD_TIMEOUT_MS)
      return child
    } catch (error) {
      await child.kill()
      throw child.#startError(error as Error)
    }
  }

  /** False from when the process has ended, or is being killed. */
  get alive(): boolean {
    return this.#alive
  }

  /**
   * @throws {DenoiserLost} when the process ends during this pass
   * @throws {NotBegun} when it ends before
   * @throws {Error} when ONNX Runtime refuses this pass, and can run another
   */
  async run(pass: Pass): Promise<Revealed> {
    const { revealed } = await this.#ask({ type: 'pass', pass }, this.#options.passTimeoutMs)
    return revealed
  }

  kill(fault?: string): Promise<string> {
    this.#alive = false
    this.#fault ??= fault
    this.#process.kill('SIGKILL')
    return this.ended
  }

  async #ask<Q extends Question>(question: Q, timeoutMs: number): Promise<AnswerTo<Q>> {
    const id = ++this.#lastId
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#asked.push({ id, question, timeoutMs, resolve, reject })
      if (this.#asked.length === 1) this.#watch()
      // Whom a message cannot reach has ended, or will: the question is settled with the process, not before.
      this.#channel?.send({ ...question, id })
    })
    if (answer.type === 'failed') throw Object.assign(new Error(answer.message), { name: answer.name })
    return answer as AnswerTo<Q>
  }

  /** Undefined where the process could not even be made. */
  #openChannel(): Channel | undefined {
    // Where no file descriptor is left there is not even the list of them.
    const { stdin: output, stdio } = this.#process as Partial<ChildProcess>
    const input = stdio?.[ANSWERS] as Readable | undefined
    if (!output || !input) return undefined
    return new Channel({
      input,
      output,
      onMessage: (message) => this.#onMessage(message),
      onEnd: (fault) => this.kill(fault)
    })
  }

  /** The time of a question runs from when the process comes to it. */
  #watch(): void {
    clearTimeout(this.#watchdog)
    const first = this.#asked[0]
    if (!first) return
    const fault = `no answer within ${first.timeoutMs} ms`
    this.#watchdog = setTimeout(() => this.kill(fault), first.timeoutMs)
  }

  #onMessage(message: unknown): void {
    const { device, manifest } = this.#options
    const first = this.#asked[0]
    if (!first || !isAnswer(message, first, manifest)) {
      this.kill('it sent something that is no answer')
    } else if (message.type === 'failed' && first.question.type === 'pass' && device === 'cuda') {
      // After an error on a GPU its context, and with it every later pass, may be broken.
      this.kill(message.message)
    } else {
      this.#asked.shift()
      this.#watch()
      first.resolve(message)
    }
  }

  #end(how: string): string {
    this.#alive = false
    const reasons = [this.#fault ?? how, this.#errors.reason].filter(Boolean)
    const ending = reasons.join(': ')
    const [first, ...others] = this.#asked.splice(0)
    this.#watch()
    first?.reject(new DenoiserLost(`the denoiser's process ended: ${ending}`))
    for (const { reject } of others) reject(new NotBegun(`the denoiser's process ended before: ${ending}`))
    return ending
  }

  #startError({ name, message }: Error): ModelError | DeviceError {
    const { device, folder } = this.#options
    if (name === 'ModelError') return new ModelError(message)
    if (device === 'cpu') return new ModelError(`${join(folder, 'model.json')}: cannot be loaded: ${message}`)
    const reason = name === 'DeviceError' ? message : `cuda cannot be used: ${message}`
    const printed = this.#errors.reason
    const detail = !printed || reason.includes(printed) ? '' : `: ${printed}`
    return new DeviceError(`${reason}${detail}; ${CUDA_ADVICE}`)
  }
}
