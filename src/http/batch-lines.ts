/** Lines of a batch are checked and answered as the live endpoints do it. */
import type { CheckLine } from '../batches/batch-lines.js'
import type { GenerationOptions } from '../engine.js'
import { RequestError } from '../errors.js'
import { BatchLine, CompletionRequest, InfillRequest } from '../schemas.js'
import { wholeCompletion } from './completions.js'
import { newId } from './generation-answer.js'
import type { HttpOptions } from './http-options.js'
import { wholeInfill } from './infill.js'
import { validator } from './validator.js'

const checkForm = validator(BatchLine)
const checkBody = { '/v1/completions': validator(CompletionRequest), '/v1/infill': validator(InfillRequest) }

export const checkLine: CheckLine = (line, endpoint) => {
  checkForm(line)
  const { url, body } = line as BatchLine
  if (url !== endpoint) {
    const message = `url: expected ${endpoint}, as the batch says, got ${url}`
    throw new RequestError('invalid_request', message, { param: 'url' })
  }
  checkBody[url](body)
  refuseLive(body)
  return line as BatchLine
}

/** The answer to a line, written when nobody else needs the passes. */
export function answerLine(
  { url, body }: BatchLine,
  engine: HttpOptions['engine'],
  signal: AbortSignal
): Promise<unknown> {
  const how = (prefix: string): GenerationOptions => ({ id: newId(prefix), signal, priority: 'offline' })
  if (url === '/v1/infill') return wholeInfill(body as InfillRequest, engine, how('infill'))
  return wholeCompletion(body as CompletionRequest, engine, how('cmpl'))
}

/** What makes sense only while somebody waits. */
function refuseLive({ stream, deadline_ms }: { stream?: unknown; deadline_ms?: unknown }): void {
  const param = stream ? 'stream' : typeof deadline_ms === 'number' ? 'deadline_ms' : undefined
  if (param === undefined) return
  throw new RequestError('unsupported_parameter', `${param}: expected none in a batch, got one`, { param })
}
