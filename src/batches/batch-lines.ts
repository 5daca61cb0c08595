/** From lines of a file to requests, or to why they are none. */
import { setImmediate } from 'node:timers/promises'
import type { BatchResult } from '../answers.js'
import { type Line, linesOf } from '../bounded-lines.js'
import { RequestError } from '../errors.js'
import type { BatchLine } from '../schemas.js'
import { lineId } from './batch-id.js'
import type { BatchRecord } from './batch-queue.js'

/** What checks a line: by the schemas that check live requests. */
export type CheckLine = (line: unknown, endpoint: BatchLine['url']) => BatchLine

/** Lines that are read in one go: more would hold up everything else. */
const LINES = 16

export interface ReadLine {
  readonly number: number
  readonly customId: string | null
  /** The request, or what is wrong with it. */
  readonly request: BatchLine | RequestError
}

/** Every line of the file, checked. A custom_id that an earlier line has is an error of the later one. */
export async function* readLines(
  { batch }: BatchRecord,
  chunks: AsyncIterable<Uint8Array>,
  { check, maxLineBytes }: { check: CheckLine; maxLineBytes: number }
): AsyncGenerator<ReadLine> {
  const firstLines = new Map<string, number>()
  for await (const line of linesOf(chunks, maxLineBytes)) {
    const { number } = line
    if (number % LINES === 0) await setImmediate()
    let customId: string | null = null
    try {
      const value = parseLine(line, maxLineBytes)
      customId = customIdOf(value)
      const request = check(value, batch.endpoint)
      const first = firstLines.get(request.custom_id)
      if (first !== undefined) {
        const message = `custom_id: expected one that no other line has, got "${customId}" of line ${first}`
        throw new RequestError('invalid_request', message, { param: 'custom_id' })
      }
      firstLines.set(request.custom_id, number)
      yield { number, customId, request }
    } catch (error) {
      if (!(error instanceof RequestError)) throw error
      yield { number, customId, request: error }
    }
  }
}

/** The line of the output file. */
export function answered(batchId: string, line: number, customId: string, body: unknown): BatchResult {
  const id = lineId(batchId, line)
  return { id, custom_id: customId, response: { status_code: 200, request_id: id, body }, error: null }
}

/** The line of the error file. What a live request would have been answered is its response. */
export function refused(
  batchId: string,
  line: number,
  customId: string | null,
  error: RequestError
): BatchResult {
  const id = lineId(batchId, line)
  const { code, message, param } = error
  return {
    id,
    custom_id: customId,
    response: { status_code: error.status, request_id: id, body: { error: error.body } },
    error: { code, message: `line ${line}: ${message}`, param, line }
  }
}

/** The line of the error file where nothing was run. */
export function notRun(
  batchId: string,
  { number, customId }: Pick<ReadLine, 'number' | 'customId'>,
  error: RequestError
): BatchResult {
  return { ...refused(batchId, number, customId, error), response: null }
}

function parseLine({ text, bytes }: Line, maxBytes: number): unknown {
  if (text === undefined) {
    throw new RequestError('body_too_large', `expected at most ${maxBytes} bytes, got ${bytes}`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new RequestError('invalid_request', `expected JSON, got ${(error as SyntaxError).message}`)
  }
}

function customIdOf(value: unknown): string | null {
  const { custom_id } = (value ?? {}) as { custom_id?: unknown }
  return typeof custom_id === 'string' ? custom_id : null
}
