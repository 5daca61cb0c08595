import type { Pass } from './denoiser.js'
import type { Manifest } from './manifest.js'

/** A pass over nothing but masks, to warm up, to measure, and to show a graph that cannot run at all. */
export function warmUpPass(
  { mask_token: mask, context_length: context }: Manifest,
  sequences = 1,
  length = context,
  rowsOfEach = 1
): Pass {
  const count = sequences * rowsOfEach
  return {
    length,
    tokens: new Int32Array(sequences * length).fill(mask),
    lengths: new Int32Array(sequences).fill(length),
    lambda: new Float32Array(sequences).fill(0.5),
    rows: Int32Array.from(
      { length: count },
      (_, r) => Math.floor(r / rowsOfEach) * length + (r % rowsOfEach)
    ),
    coins: new Float64Array(count).fill(0.5),
    temperature: new Float32Array(count).fill(1),
    topP: new Float32Array(count).fill(1),
    topK: new Int32Array(count),
    alternatives: false
  }
}
