/** The server answered, and not with a text. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  /** The code of the server's error, or its status: `http_500`. */
  readonly code: string
  /** It says "not now", and nothing about the request. */
  readonly overload: boolean

  constructor(message: string, code: string, overload: boolean) {
    super(message)
    this.code = code
    this.overload = overload
  }
}

/** Of an answer that is no success: the body of fewstep, of an OpenAI-compatible server, or of whatever stands in between. */
export function refusalOf(status: number, body: string): Refusal {
  const overload = isOverload(status)
  try {
    const { error } = JSON.parse(body)
    const code = typeof error.code === 'string' ? error.code : `http_${status}`
    return new Refusal(String(error.message ?? error), code, overload)
  } catch {
    return new Refusal(`status ${status}`, `http_${status}`, overload)
  }
}

export const isOverload = (status: number) => status === 429 || status === 503
