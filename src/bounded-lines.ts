/** One line of a stream, its number counted from 1. */
export interface Line {
  readonly number: number
  readonly bytes: number
  /** Undefined where it is longer than it may be. */
  readonly text: string | undefined
}

const NEWLINE = 10
const SPACE = 32

/** The lines of a stream that are not blank. However long it and its lines are, memory holds `maxBytes` of it and a chunk. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line> {
  let number = 0
  let bytes = 0
  let blank = true
  let parts: Uint8Array[] = []
  const keep = (part: Uint8Array) => {
    bytes += part.length
    blank &&= part.every((byte) => byte <= SPACE)
    if (bytes <= maxBytes) parts.push(part)
    else parts = []
  }
  /** The line that ends here, unless it is blank. */
  function* end(): Generator<Line> {
    number++
    const text = bytes > maxBytes ? undefined : new TextDecoder().decode(Buffer.concat(parts))
    if (!blank) yield { number, bytes, text }
    bytes = 0
    blank = true
    parts = []
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, at))
      start = at + 1
      yield* end()
    }
    keep(chunk.subarray(start))
  }
  yield* end()
}
