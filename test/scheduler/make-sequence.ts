import { Coins } from '../../src/diffusion/coin.js'
import { Sequence, type SequenceOptions } from '../../src/scheduler/sequence.js'
import { BOS, MASK } from '../table-denoiser.js'

/** A sequence of so many masks behind the beginning-of-text token. */
export function makeSequence(
  length: number,
  steps: number,
  seed: number,
  changes: Partial<SequenceOptions> = {}
): Sequence {
  return new Sequence({
    tokens: Int32Array.from({ length: length + 1 }, (_, i) => (i === 0 ? BOS : MASK)),
    maskToken: MASK,
    windows: [{ start: 0, end: length + 1, from: 1 }],
    steps,
    maskedShare: (time) => time,
    coins: new Coins(seed, 0),
    temperature: 1,
    topP: 1,
    topK: 0,
    alternatives: 0,
    deadline: undefined,
    priority: 'interactive',
    ...changes
  })
}
