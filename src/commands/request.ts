/** What `fewstep generate` may ask of a completion. */
import type { CompletionRequest } from '../schemas.js'
import { integer, MAX_INTEGER, optional, real, text, type Values } from '../setting.js'

const group = 'Text'

export const requestSettings = {
  maxTokens: integer({
    group,
    min: 1,
    max: MAX_INTEGER,
    default: 128,
    description: 'Length of the completion in tokens.'
  }),
  steps: optional(
    integer({
      group,
      min: 1,
      max: MAX_INTEGER,
      default: 1,
      description: 'Denoising steps: more steps, better text, more time.'
    }),
    "the model's"
  ),
  suffix: optional(
    text({ group, argument: 'text', default: '', description: 'Text that comes after the completion.' }),
    'none'
  ),
  temperature: real({
    group,
    expected: 'a number from 0 to 2',
    within: (value) => value >= 0 && value <= 2,
    default: 1,
    description: '0 takes the likeliest token at every reveal.'
  }),
  topP: real({
    group,
    expected: 'a number over 0, at most 1',
    within: (value) => value > 0 && value <= 1,
    default: 1,
    description: 'Sample from the smallest set of tokens whose probability reaches this share.'
  }),
  topK: integer({
    group,
    min: 0,
    max: MAX_INTEGER,
    default: 0,
    description: 'Sample from this many likeliest tokens; 0 means all.'
  }),
  seed: optional(
    integer({
      group,
      min: Number.MIN_SAFE_INTEGER,
      max: Number.MAX_SAFE_INTEGER,
      default: 0,
      description: 'Same seed, same text.'
    }),
    'random'
  )
}

export function toRequest(
  prompt: string,
  { maxTokens, topP, topK, ...same }: Values<typeof requestSettings>
): CompletionRequest & { prompt: string } {
  return { prompt, max_tokens: maxTokens, top_p: topP, top_k: topK, ...same }
}
