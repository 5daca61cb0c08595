import type { Manifest } from '../denoiser/manifest.js'
import { layOutWindows, type Window } from '../diffusion/windows.js'
import { RequestError } from '../errors.js'
import type { InfillRequest } from '../schemas.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'

/** Completion length unless the client says; less where the text would not fit. */
const DEFAULT_MAX_TOKENS = 128

export interface Span {
  readonly start: number
  readonly length: number
}

/**
 * A text as the denoiser will see it: the beginning-of-text token, then the text with masks in its holes.
 * Spans count from the text's first token; `tokens` and `windows` count the beginning-of-text token too.
 */
export interface TextLayout {
  readonly tokens: Int32Array
  readonly windows: readonly Window[]
  readonly holes: readonly Span[]
}

/** What a layout needs to know of a model and the server. */
export interface LayoutContext {
  readonly manifest: Manifest
  readonly tokenizer: Tokenizer
  /** The longest text, prompt and completion together, in tokens. */
  readonly maxTextTokens: number
}

export interface CompletionParts {
  readonly prompt: string | readonly number[]
  readonly suffix: string
  readonly maxTokens: number | undefined
}

export function layOutCompletion(parts: CompletionParts, context: LayoutContext): TextLayout {
  const contextRoom = context.manifest.context_length - 1
  // A window cannot see a suffix that lies beyond it.
  const limit = parts.suffix === '' ? Math.max(context.maxTextTokens, contextRoom) : contextRoom
  const prompt = toTokens(parts.prompt, 'prompt', limit, context)
  const suffix = toTokens(parts.suffix, 'suffix', limit, context)
  const given = prompt.length + suffix.length
  if (given >= limit) {
    const got = suffix.length > 0 ? `${prompt.length} + ${suffix.length} of suffix` : `${prompt.length}`
    throw tooLong(
      'prompt',
      `expected at most ${limit - 1} tokens${suffix.length > 0 ? ' with the suffix' : ''}, got ${got}`
    )
  }
  const length = parts.maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, limit - given)
  if (given + length > limit) {
    throw tooLong(
      'max_tokens',
      `expected at most ${limit - given} (${limit} less ${given} of prompt${suffix.length > 0 ? ' and suffix' : ''}), got ${length}`
    )
  }
  return layOut([prompt, { mask: length }, suffix], context.manifest)
}

export function layOutInfill(template: InfillRequest['template'], context: LayoutContext): TextLayout {
  const limit = context.manifest.context_length - 1
  const segments: Segment[] = []
  let total = 0
  for (const [i, part] of template.entries()) {
    const given = typeof part === 'string' || Array.isArray(part)
    const segment = given ? toTokens(part, `template[${i}]`, limit, context) : part
    total += 'mask' in segment ? segment.mask : segment.length
    if (total > limit) throw tooLong('template', `expected at most ${limit} tokens, holes counted, got more`)
    segments.push(segment)
  }
  if (!segments.some((segment) => 'mask' in segment)) {
    throw new RequestError(
      'invalid_request',
      'template: expected at least one hole such as {"mask": 12}, got none',
      {
        param: 'template'
      }
    )
  }
  return layOut(segments, context.manifest)
}

type Segment = readonly number[] | { readonly mask: number }

function layOut(segments: readonly Segment[], manifest: Manifest): TextLayout {
  const tokens: number[] = [manifest.bos_token]
  const holes: Span[] = []
  for (const segment of segments) {
    if ('mask' in segment) {
      holes.push({ start: tokens.length - 1, length: segment.mask })
      for (let i = 0; i < segment.mask; i++) tokens.push(manifest.mask_token)
    } else {
      for (const token of segment) tokens.push(token)
    }
  }
  const windows = layOutWindows(tokens.length, holes[0]!.start + 1, manifest.context_length)
  return { tokens: Int32Array.from(tokens), windows, holes }
}

/** Text or token ids to token ids; ids that are not words of the vocabulary are refused by name. */
function toTokens(
  part: string | readonly number[],
  param: string,
  limit: number,
  { manifest, tokenizer }: LayoutContext
): readonly number[] {
  if (typeof part === 'string') {
    const tokens = tokenizer.encode(part, { limit, param })
    if (tokens.length <= limit) return tokens
    throw tooLong(param, `expected at most ${limit} tokens, got more`)
  }
  const bad = part.find((token) => token >= tokenizer.vocabularySize || token === manifest.mask_token)
  if (bad === undefined) return part
  const got = bad === manifest.mask_token ? `${bad}, the mask token` : bad
  throw new RequestError(
    'invalid_request',
    `${param}: expected token ids below ${tokenizer.vocabularySize}, got ${got}`,
    { param }
  )
}

function tooLong(param: string, detail: string): RequestError {
  return new RequestError('context_length_exceeded', `${param}: ${detail}`, { param })
}
