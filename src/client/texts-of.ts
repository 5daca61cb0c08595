import type { CompletionRequest, InfillRequest } from '../schemas.js'

/** How many texts a request asks for. */
export function textsOf(request: CompletionRequest | InfillRequest): number {
  if ('template' in request) return 1
  const { prompt, n } = request
  const prompts = Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1
  return prompts * (n ?? 1)
}
