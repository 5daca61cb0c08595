import type { Pass, Revealed } from '../denoiser/denoiser.js'
import { lengthBucket } from './length-bucket.js'
import type { PassSize } from './pass-cost.js'
import type { PassRules } from './pass-rules.js'
import { ReusableArray } from './reusable-array.js'
import type { RowResult, Sequence } from './sequence.js'

/** What a batch needs to know of a sequence. */
export interface Passenger {
  readonly length: number
  /** Positions that its next pass reveals. */
  readonly nextRows: number
}

/** Sequences that share a pass, all of one padded length. */
export interface Batch<S extends Passenger = Sequence> {
  readonly length: number // padded, L
  readonly sequences: readonly S[]
}

/**
 * Picks the batch of the next pass: the first sequence (the one that has waited longest) and others of its bucket, in order, while
 * padded tokens and rows stay within their bounds. The first one always goes. Devices share what runs evenly.
 * @param roundTokens padded tokens of all that run
 */
export function nextBatch<S extends Passenger>(
  waiting: readonly S[],
  roundTokens: number,
  { context, parallel, passTokens, maxRows }: PassRules
): Batch<S> {
  const batch = { length: lengthBucket(waiting[0]!.length, context), sequences: waiting.slice(0, 1) }
  const maxTokens = Math.min(Math.ceil(roundTokens / parallel), passTokens)
  return fillBatch(
    batch,
    waiting.slice(1),
    context,
    ({ tokens, rows }) => tokens <= maxTokens && rows <= maxRows
  )
}

/** Of its pass. */
export const sizeOf = ({ length, sequences }: Batch<Passenger>): PassSize => ({
  tokens: length * sequences.length,
  rows: rowsIn(sequences)
})

/** The batch and others of its bucket, in order, up to the first with which it would no longer fit. */
export function fillBatch<S extends Passenger>(
  { length, sequences }: Batch<S>,
  others: readonly S[],
  context: number,
  fits: (size: PassSize) => boolean
): Batch<S> {
  const filled = [...sequences]
  let rows = rowsIn(sequences)
  for (const sequence of others.filter((other) => lengthBucket(other.length, context) === length)) {
    rows += sequence.nextRows
    if (!fits({ tokens: (filled.length + 1) * length, rows })) break
    filled.push(sequence)
  }
  return { length, sequences: filled }
}

const rowsIn = (sequences: readonly Passenger[]) => sequences.reduce((sum, { nextRows }) => sum + nextRows, 0)

/** What the next pass sees, padding aside. */
export function latentTokensIn({ sequences }: Batch): { unpadded: number; masked: number } {
  let unpadded = 0
  let masked = 0
  for (const { latentTokens, options } of sequences) {
    unpadded += latentTokens.length
    for (const token of latentTokens) if (token === options.maskToken) masked++
  }
  return { unpadded, masked }
}

/**
 * Writes passes into arrays of its own, the same ones again and again: a pass stands until the next one is assembled.
 * Rows lie sequence by sequence, in their order.
 */
export class PassAssembler {
  readonly #tokens = new ReusableArray((length) => new Int32Array(length))
  readonly #lengths = new ReusableArray((length) => new Int32Array(length))
  readonly #lambda = new ReusableArray((length) => new Float32Array(length))
  readonly #rows = new ReusableArray((length) => new Int32Array(length))
  readonly #coins = new ReusableArray((length) => new Float64Array(length))
  readonly #temperature = new ReusableArray((length) => new Float32Array(length))
  readonly #topP = new ReusableArray((length) => new Float32Array(length))
  readonly #topK = new ReusableArray((length) => new Int32Array(length))

  /** The pass that gives every sequence of the batch its next step. */
  assemble({ length, sequences }: Batch): Pass {
    const rowCount = rowsIn(sequences)
    const tokens = this.#tokens.lend(sequences.length * length).fill(0)
    const lengths = this.#lengths.lend(sequences.length)
    const lambda = this.#lambda.lend(sequences.length)
    const rows = this.#rows.lend(rowCount)
    const coins = this.#coins.lend(rowCount)
    const temperature = this.#temperature.lend(rowCount)
    const topP = this.#topP.lend(rowCount)
    const topK = this.#topK.lend(rowCount)
    let row = 0
    sequences.forEach((sequence, b) => {
      const { options, latentTokens, windowStart, nextReveals } = sequence
      tokens.set(latentTokens, b * length)
      lengths[b] = sequence.length
      lambda[b] = sequence.lambda
      const end = row + nextReveals.positions.length
      temperature.fill(options.temperature, row, end)
      topP.fill(options.topP, row, end)
      topK.fill(options.topK, row, end)
      for (const position of nextReveals.positions) {
        rows[row] = b * length + position - windowStart
        coins[row++] = sequence.coin(position)
      }
    })
    const alternatives = sequences.some(({ options }) => options.alternatives > 0)
    return { length, tokens, lengths, lambda, rows, coins, temperature, topP, topK, alternatives }
  }
}

/** Hands every sequence of the batch its rows of what the pass revealed. */
export function applyRevealed({ sequences }: Batch, revealed: Revealed): void {
  const width = revealed.alternativeTokens.length / revealed.tokens.length
  let row = 0
  for (const sequence of sequences) {
    const results = sequence.nextReveals.positions.map((_, i) =>
      rowResult(revealed, row + i, width, sequence)
    )
    row += results.length
    sequence.apply(results, revealed.passMs)
  }
}

function rowResult(revealed: Revealed, row: number, width: number, sequence: Sequence): RowResult {
  const count = Math.min(width, sequence.options.alternatives)
  return {
    token: revealed.tokens[row]!,
    probability: revealed.probabilities[row]!,
    alternatives: Array.from({ length: count }, (_, k) => ({
      token: revealed.alternativeTokens[row * width + k]!,
      probability: revealed.alternativeProbabilities[row * width + k]!
    }))
  }
}
