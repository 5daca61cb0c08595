import type { ErrorAnswer } from '../answers.js'
import type { ErrorBody } from '../errors.js'
import { DisconnectedError, FewstepError } from './fewstep-error.js'

export interface ServerAddress {
  readonly url: URL
  readonly apiKey?: string | undefined
}

/** Sends a request; a body goes as JSON. @throws {FewstepError} when it is refused, {DisconnectedError} when it cannot be sent */
export async function send(
  { url, apiKey }: ServerAddress,
  path: string,
  { body, signal }: { body?: unknown; signal?: AbortSignal | undefined } = {}
): Promise<Response> {
  const headers = new Headers()
  if (apiKey !== undefined) headers.set('authorization', `Bearer ${apiKey}`)
  if (body !== undefined) headers.set('content-type', 'application/json')
  const init: RequestInit = { headers, signal: signal ?? null }
  const request = new Request(
    new URL(path, url),
    body === undefined ? init : { ...init, method: 'POST', body: JSON.stringify(body) }
  )
  const answer = await connected(fetch(request), signal)
  if (!answer.ok) throw await refusalOf(answer, signal)
  return answer
}

/** What the network does to an answer, as one error; but the reason of the signal where that ended it. */
export async function connected<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work
  } catch (error) {
    signal?.throwIfAborted()
    throw new DisconnectedError('The server cannot be reached.', { cause: error })
  }
}

async function refusalOf(answer: Response, signal?: AbortSignal): Promise<FewstepError> {
  const text = await connected(answer.text(), signal)
  return new FewstepError(errorIn(text, answer.status), retryAfterMs(answer.headers))
}

/** A proxy in between may answer with anything. */
function errorIn(text: string, status: number): ErrorBody {
  try {
    const { error } = JSON.parse(text) as ErrorAnswer
    if (typeof error.message === 'string') return error as ErrorBody
  } catch {}
  const message = `Expected an answer of fewstep, got status ${status}`
  return { message, type: 'server_error', param: null, code: 'internal_error' }
}

function retryAfterMs(headers: Headers): number | undefined {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN)
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  if (ms >= 0) return ms
  return seconds >= 0 ? seconds * 1000 : undefined
}
