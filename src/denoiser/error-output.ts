import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { plainReason } from './plain-reason.js'

const KEPT_LINES = 20

/** What a process writes to its error output, line by line. ONNX Runtime says only there why a GPU cannot be used. */
export class ErrorOutput {
  #lines: string[] = []

  /** @param stream null when the process could not even be made */
  constructor(stream: Readable | null, onLine: (line: string) => void) {
    if (!stream) return
    createInterface(stream).on('line', (text) => {
      const line = stripVTControlCharacters(text).trim()
      if (line === '') return
      this.#lines = [...this.#lines, line].slice(-KEPT_LINES)
      onLine(line)
    })
  }

  /** The last line that looks like an error, without the stamps before it; else the last line. */
  get reason(): string | undefined {
    const line = this.#lines.findLast((text) => /error|fail|\[E:/i.test(text)) ?? this.#lines.at(-1)
    return line && plainReason(line)
  }
}
