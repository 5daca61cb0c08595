import type { Denoiser, Outage, Pass, Revealed } from '../src/denoiser/denoiser.js'
import type { Manifest } from '../src/denoiser/manifest.js'

/**
 * A whole denoiser, small enough to enumerate: three tokens, whose weights depend on the position, on every token that
 * stands and on which half of [0, 1) lambda lies in. It counts what it is asked to do.
 */
export class TableDenoiser implements Denoiser {
  readonly device = 'cpu'
  readonly parallel: number
  outage: Outage | undefined
  readonly manifest: Manifest
  passes: Pass[] = []
  /** Called before each pass; may throw, or wait. */
  before: (pass: Pass) => void | Promise<void> = () => {}

  constructor(changes: Partial<Manifest> = {}, parallel = 1) {
    this.parallel = parallel
    this.manifest = { ...manifest, ...changes }
  }

  async run(pass: Pass): Promise<Revealed> {
    this.passes.push(copyOf(pass)) // the next pass may be written over it
    await this.before(pass)
    const rows = Array.from(pass.rows, (row, r) => this.#reveal(pass, row, r))
    return {
      tokens: Int32Array.from(rows, ({ token }) => token),
      probabilities: Float32Array.from(rows, ({ probability }) => probability),
      alternativeTokens: Int32Array.from(pass.alternatives ? rows.flatMap(() => TOKENS) : []),
      alternativeProbabilities: Float32Array.from(pass.alternatives ? rows.flatMap(({ law }) => law) : []),
      passMs: 1
    }
  }

  async close(): Promise<void> {}

  #reveal({ tokens, length, lengths, lambda, coins }: Pass, row: number, r: number) {
    const b = Math.floor(row / length)
    const sequence = Array.from(tokens.subarray(b * length, b * length + lengths[b]!))
    const law = tokenLaw(sequence, row % length, lambda[b]!)
    let chosen = 0
    for (let below = law[0]!; coins[r]! >= below && chosen < law.length - 1; below += law[chosen]!) chosen++
    return { token: TOKENS[chosen]!, probability: law[chosen]!, law }
  }
}

const copyOf = (pass: Pass): Pass => ({
  ...pass,
  tokens: pass.tokens.slice(),
  lengths: pass.lengths.slice(),
  lambda: pass.lambda.slice(),
  rows: pass.rows.slice(),
  coins: pass.coins.slice(),
  temperature: pass.temperature.slice(),
  topP: pass.topP.slice(),
  topK: pass.topK.slice()
})

/** " red", " green", " blue". */
export const TOKENS = [2266, 4077, 4171]
export const MASK = 50257
export const BOS = 50256

/** Law of the token at a position, given latent tokens and lambda. Two atoms of lambda, each half of [0, 1). */
export function tokenLaw(tokens: readonly number[], position: number, lambda: number): number[] {
  const weights = [1, 1, 1]
  const liked = (position + (lambda < 0.5 ? 0 : 1)) % 3
  weights[liked]! += 6
  tokens.forEach((token, i) => {
    const known = TOKENS.indexOf(token)
    if (known >= 0) weights[(known + position - i + tokens.length) % 3]! += 2 + ((known + i) % 2)
  })
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}

/** The law by which the token at each position was drawn, where the passes are those of one sequence. */
export function lawsOf(passes: readonly Pass[]): Map<number, number[]> {
  return new Map(
    passes.flatMap(({ tokens, lengths, lambda, rows }) =>
      Array.from(
        rows,
        (row) => [row, tokenLaw([...tokens.subarray(0, lengths[0])], row, lambda[0]!)] as const
      )
    )
  )
}

const manifest: Manifest = {
  format: 1,
  name: 'table',
  kind: 'mixture',
  description: 'Three tokens.',
  tokenizer: 'gpt2',
  vocabulary_size: 50257,
  trained_vocabulary: 3,
  mask_token: MASK,
  bos_token: BOS,
  eos_token: BOS,
  context_length: 64,
  noise_schedule: 'log-linear',
  steps: { default: 4, min: 1, max: 1000 },
  teacher: null,
  parameters: 1,
  architecture: {},
  variants: [
    {
      precision: 'float64',
      devices: ['cpu'],
      graph: 'none',
      files: [{ path: 'none', bytes: 0, sha256: '0'.repeat(64) }]
    }
  ],
  licence: 'Apache-2.0',
  provenance: {},
  parity: {},
  evaluation: []
}
