import type { Pass } from './denoiser.js'
import type { Manifest } from './manifest.js'

/** A first pass: it allocates, loads a GPU's kernels, and shows a graph that cannot run at all. */
export function warmUpPass({ bos_token, mask_token, context_length }: Manifest): Pass {
  const tokens = new Int32Array(context_length).fill(mask_token)
  tokens[0] = bos_token
  return {
    length: context_length,
    tokens,
    lengths: Int32Array.of(context_length),
    lambda: Float32Array.of(0.5),
    rows: Int32Array.of(1),
    coins: Float64Array.of(0.5),
    temperature: Float32Array.of(1),
    topP: Float32Array.of(1),
    topK: Int32Array.of(0),
    alternatives: true
  }
}
