/**
 * The law of the papers' ancestral chain by enumeration, written without the sampler's shortcuts: at every step from t
 * to s each masked position becomes a token with probability (t - s) / t and stays masked otherwise, one lambda atom for
 * all positions of the step, drawn anew each step.
 */
export function referenceChainLaw(
  start: readonly number[],
  mask: number,
  steps: number,
  tokens: readonly number[],
  law: (latent: readonly number[], position: number, lambda: number) => readonly number[],
  atoms: readonly number[]
): Map<string, number> {
  let states = new Map([[start.join(), 1]])
  for (let n = 0; n < steps; n++) {
    const t = 1 - n / steps
    const s = 1 - (n + 1) / steps
    const next = new Map<string, number>()
    for (const [key, mass] of states) {
      const latent = key.split(',').map(Number)
      for (const lambda of atoms) {
        spread(latent, 0, mass / atoms.length, [], lambda, (t - s) / t, next)
      }
    }
    states = next
  }
  return states

  function spread(
    latent: readonly number[],
    position: number,
    mass: number,
    chosen: readonly number[],
    lambda: number,
    reveal: number,
    into: Map<string, number>
  ): void {
    if (mass === 0) return
    if (position === latent.length) {
      const key = chosen.join()
      into.set(key, (into.get(key) ?? 0) + mass)
    } else if (latent[position] !== mask) {
      spread(latent, position + 1, mass, [...chosen, latent[position]!], lambda, reveal, into)
    } else {
      spread(latent, position + 1, mass * (1 - reveal), [...chosen, mask], lambda, reveal, into)
      law(latent, position, lambda).forEach((probability, v) => {
        spread(
          latent,
          position + 1,
          mass * reveal * probability,
          [...chosen, tokens[v]!],
          lambda,
          reveal,
          into
        )
      })
    }
  }
}
