/** One line of a stream, its number counted from 1. */
export interface Line {
  readonly number: number
  readonly bytes: number
  /** Undefined where it is longer than it may be. */
  readonly text: string | undefined
}

const NEWLINE = 10

/** The lines of a stream that are not blank. However long it and its lines are, memory holds `maxBytes` of it and a chunk. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line> {
  let number = 1
  let bytes = 0
  let parts: Uint8Array[] = []
  const keep = (part: Uint8Array) => {
    bytes += part.length
    if (bytes <= maxBytes) parts.push(part)
    else parts = []
  }
  const end = (): Line => {
    const text = bytes > maxBytes ? undefined : new TextDecoder().decode(Buffer.concat(parts))
    const line = { number: number++, bytes, text }
    bytes = 0
    parts = []
    return line
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, at))
      start = at + 1
      const line = end()
      if (!isBlank(line)) yield line
    }
    keep(chunk.subarray(start))
  }
  const last = end()
  if (!isBlank(last)) yield last
}

const isBlank = ({ text }: Line) => text?.trim() === ''
