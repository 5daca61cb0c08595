import type { Denoiser } from '../denoiser/denoiser.js'
import { warmUpPass } from '../denoiser/warm-up-pass.js'
import { PassCost, type PassSize } from './pass-cost.js'

const SHORT = 16
/** A pass that takes this long shows what a token costs. */
const LONG_MS = 40
/** Of these the fastest counts: what else the machine does only slows a pass down. */
const REPEATS = { short: 5, long: 2 }
/** The way to the denoiser and back, and what is done with its answer: no pass costs less. */
const LEAST_FIXED_MS = 0.5
/** However the clock may have rounded: a token is never free. */
const LEAST_MS_PER_TOKEN = 1e-6

/**
 * Measures what a pass costs by a few: a short one, the same with all of its rows, and full windows, doubled until that takes long
 * or a pass may hold no more. A GPU that is to run large passes has then run one, and has the memory for it.
 */
export async function measurePassCost(denoiser: Denoiser, maxTokens: number): Promise<PassCost> {
  const { context_length: context } = denoiser.manifest
  const short = Math.min(SHORT, context)
  const run = async (sequences: number, length: number, rows: number) =>
    (await denoiser.run(warmUpPass(denoiser.manifest, sequences, length, rows))).passMs

  const one = { tokens: short, rows: 1, ms: await fastest(REPEATS.short, () => run(1, short, 1)) }
  const all = { tokens: short, rows: short, ms: await fastest(REPEATS.short, () => run(1, short, short)) }
  const long = (sequences: number) => fastest(REPEATS.long, () => run(sequences, context, 1))
  let sequences = 1
  let ms = await long(sequences)
  while (ms < LONG_MS && 2 * sequences * context <= maxTokens) {
    sequences *= 2
    ms = await long(sequences)
  }
  return fitPassCost(one, all, { tokens: sequences * context, rows: sequences, ms })
}

interface MeasuredPass extends PassSize {
  readonly ms: number
}

/** @param one a short pass @param all the same with more rows @param long one with more tokens */
function fitPassCost(one: MeasuredPass, all: MeasuredPass, long: MeasuredPass): PassCost {
  const msPerRow = Math.max(0, (all.ms - one.ms) / (all.rows - one.rows))
  const tokensMs = long.ms - one.ms - (long.rows - one.rows) * msPerRow
  // Of a context as short as the short pass nothing is learnt.
  const tokens = Math.max(1, long.tokens - one.tokens)
  const msPerToken = Math.max(LEAST_MS_PER_TOKEN, tokensMs / tokens)
  const fixedMs = Math.max(LEAST_FIXED_MS, one.ms - one.tokens * msPerToken - one.rows * msPerRow)
  return new PassCost({ fixedMs, msPerToken, msPerRow })
}

async function fastest(repeats: number, measure: () => Promise<number>): Promise<number> {
  let ms = Number.POSITIVE_INFINITY
  for (let i = 0; i < repeats; i++) ms = Math.min(ms, await measure())
  return ms
}
