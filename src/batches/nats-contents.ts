import { randomUUID } from 'node:crypto'
import type { NatsLink } from './nats-link.js'
import { NatsTable } from './nats-table.js'

/** Bytes of one message. */
const PIECE = 128 * 1024

/** Says which of the pieces that are there make up the file. */
interface Head {
  readonly attempt: string
  readonly pieces: number
}

/**
 * What is in files, in pieces:
 *
 *   <file>.<attempt>.0, <file>.<attempt>.1, ...   written one after the other
 *   <file>.head                                   written last; from then on it is the file
 */
export class NatsContents {
  readonly #table: NatsTable

  constructor(link: NatsLink) {
    this.#table = new NatsTable(link, 'contents')
  }

  create(): Promise<void> {
    return this.#table.create()
  }

  /** Of two that write one file at once, one fails. */
  async write(fileId: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const table = this.#table
    const { revision } = (await table.get(`${fileId}.head`)) ?? { revision: 0 }
    const attempt = randomUUID()
    let pieces = 0
    let first: number | undefined
    try {
      for await (const piece of piecesOf(chunks)) {
        const written = await table.put(`${fileId}.${attempt}.${pieces++}`, piece)
        first ??= written
      }
      const head: Head = { attempt, pieces }
      const written = await table.put(`${fileId}.head`, JSON.stringify(head), revision)
      if (!written) throw new Error(`file ${fileId}: expected to write alone, but another did, too`)
      await table.purge(`${fileId}.>`, first ?? written) // what was written before, whole or in part
    } catch (error) {
      await table.purge(`${fileId}.${attempt}.*`).catch(() => {}) // left for later where NATS is gone
      throw error
    }
  }

  async *read(fileId: string): AsyncGenerator<Uint8Array> {
    const head = await this.#table.get(`${fileId}.head`)
    if (!head) throw new Error(`file ${fileId}: expected its content, got none`)
    const { attempt, pieces } = JSON.parse(new TextDecoder().decode(head.value)) as Head
    for (let i = 0; i < pieces; i++) {
      const piece = await this.#table.get(`${fileId}.${attempt}.${i}`)
      if (!piece) throw new Error(`file ${fileId}: expected piece ${i} of ${pieces}, got none`)
      yield piece.value
    }
  }

  erase(fileId: string): Promise<void> {
    return this.#table.purge(`${fileId}.>`)
  }

  async bytes(): Promise<number> {
    return (await this.#table.size()).bytes
  }

  /** Ids of files of which there is anything. */
  async list(): Promise<string[]> {
    const { found } = await this.#table.survey('>')
    return [...new Set(found.map((key) => key.split('.', 1)[0]!))]
  }
}

/** The same bytes, PIECE at a time. */
async function* piecesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = []
  let room = PIECE
  for await (const chunk of chunks) {
    let rest = chunk
    while (rest.length >= room) {
      yield Buffer.concat([...parts, rest.subarray(0, room)])
      rest = rest.subarray(room)
      parts = []
      room = PIECE
    }
    parts.push(rest)
    room -= rest.length
  }
  if (room < PIECE) yield Buffer.concat(parts)
}
