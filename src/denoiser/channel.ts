import type { Readable, Writable } from 'node:stream'
import { deserialize, serialize } from 'node:v8'

export interface ChannelOptions {
  readonly input: Readable
  readonly output: Writable
  readonly onMessage: (message: unknown) => void
  /** The other side has gone, or, with a reason, sent what is no message. Called once. */
  readonly onEnd: (fault?: string) => void
}

/** Bytes before a message that tell its length. */
const HEAD = 4
/** No pass comes near it: tokens and coins of a million rows do. */
const MAX_BYTES = 2 ** 26

/**
 * Messages between a denoiser's process and its owner, over a pipe each way: a length, then a value as the structured clone
 * algorithm writes it. Node's own channel between processes throws where nobody can catch it when anything else is written there.
 */
export class Channel {
  readonly #options: ChannelOptions
  #parts: Buffer[] = []
  #bytes = 0
  #wanted = HEAD
  #isLength = true
  #ended = false

  constructor(options: ChannelOptions) {
    this.#options = options
    const { input, output } = options
    input.on('data', (chunk: Buffer) => this.#take(chunk))
    input.once('end', () => this.#end())
    for (const stream of [input, output]) stream.on('error', ({ message }) => this.#end(message))
  }

  send(message: unknown): void {
    const body = serialize(message)
    const head = Buffer.alloc(HEAD)
    head.writeUInt32LE(body.length)
    this.#options.output.write(Buffer.concat([head, body]))
  }

  #take(chunk: Buffer): void {
    this.#parts.push(chunk)
    this.#bytes += chunk.length
    while (!this.#ended && this.#bytes >= this.#wanted) {
      const all = Buffer.concat(this.#parts)
      this.#parts = [all.subarray(this.#wanted)]
      this.#bytes -= this.#wanted
      this.#read(all.subarray(0, this.#wanted))
    }
  }

  /** A length and a message take turns. */
  #read(bytes: Buffer): void {
    this.#isLength = !this.#isLength
    if (!this.#isLength) {
      this.#wanted = bytes.readUInt32LE()
      if (this.#wanted > MAX_BYTES) this.#end(`it sent a message of ${this.#wanted} bytes`)
      return
    }
    this.#wanted = HEAD
    let message: unknown
    try {
      message = deserialize(bytes)
    } catch {
      this.#end('it sent something that is no message')
      return
    }
    this.#options.onMessage(message)
  }

  #end(fault?: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#parts = []
    this.#options.onEnd(fault)
  }
}
