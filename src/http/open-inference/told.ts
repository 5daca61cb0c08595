import type { ErrorBody, RequestError } from '../../errors.js'

/** What a client is told of an error: all of it, or under the paths of the Open Inference Protocol its sentence alone. */
export function told(error: RequestError, url: string): { status: number; error: ErrorBody | string } {
  const path = url.split('?', 1)[0]!
  if (!path.startsWith('/v2/')) return { status: error.status, error: error.body }
  return {
    status: /\/generate(_stream)?$/.test(path) ? generateStatus(error) : error.status,
    error: error.message
  }
}

/** The protocol's text generation has statuses of its own for these two. */
function generateStatus({ code, status }: RequestError): number {
  if (status === 400) return 422
  return code === 'denoiser_failed' ? 424 : status
}
