import type { Readable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { linesOf } from '../bounded-lines.js'
import { plainReason } from './plain-reason.js'

const KEPT_LINES = 20
/** A longer line is none of ONNX Runtime's. */
const MAX_LINE_BYTES = 64 * 1024

/** What a process writes to its error output, line by line. ONNX Runtime says only there why a GPU cannot be used. */
export class ErrorOutput {
  /** Resolves when all of it was read. */
  readonly ended: Promise<void>
  #lines: string[] = []

  /** @param stream null when the process could not even be made */
  constructor(stream: Readable | null, onLine: (line: string) => void) {
    // It ends with the process, however that ends.
    this.ended = stream ? this.#read(stream, onLine).catch(() => {}) : Promise.resolve()
  }

  async #read(stream: Readable, onLine: (line: string) => void): Promise<void> {
    for await (const { text, bytes } of linesOf(stream, MAX_LINE_BYTES)) {
      const line = stripVTControlCharacters(text ?? `(a line of ${bytes} bytes)`).trim()
      if (line === '') continue
      this.#lines = [...this.#lines, line].slice(-KEPT_LINES)
      onLine(line)
    }
  }

  /** The last line that looks like an error, without the stamps before it; else the last line. */
  get reason(): string | undefined {
    const line = this.#lines.findLast((text) => /error|fail|\[E:/i.test(text)) ?? this.#lines.at(-1)
    return line && plainReason(line)
  }
}
