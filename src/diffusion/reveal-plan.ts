/**
 * Which positions each step reveals. Under SUBS a masked position is revealed in the step from time t to s with
 * probability (m(t) - m(s)) / m(t), m being the noise schedule, whatever the network says; so every position's
 * step can be drawn before the first pass: P(step <= n) = 1 - m(t_n) with t_n = 1 - n/N.
 * The chain runs to t = 0 (the reference stops at 1e-5 and takes the argmax of what is left: 1e-5 a position).
 */

/** One step that reveals something. Steps that reveal nothing are left out: they cost no pass. */
export interface PlannedStep {
  readonly step: number // from 1
  readonly positions: readonly number[] // ascending
}

/**
 * @param masked the masked positions, ascending
 * @param steps N
 * @param maskedShare the noise schedule m(t)
 * @param coin uniform in [0, 1), one a position
 */
export function drawRevealPlan(
  masked: readonly number[],
  steps: number,
  maskedShare: (t: number) => number,
  coin: (position: number) => number
): PlannedStep[] {
  const revealedBy = Float64Array.from({ length: steps }, (_, n) => 1 - maskedShare(1 - (n + 1) / steps))
  const plan = new Map<number, number[]>()
  for (const position of masked) {
    const step = firstAbove(revealedBy, coin(position)) + 1
    const positions = plan.get(step)
    if (positions) positions.push(position)
    else plan.set(step, [position])
  }
  return [...plan].sort(([a], [b]) => a - b).map(([step, positions]) => ({ step, positions }))
}

/** Index of the first value above `x` in an ascending array whose last value is above `x`. */
function firstAbove(values: Float64Array, x: number): number {
  let low = 0
  let high = values.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (values[middle]! > x) high = middle
    else low = middle + 1
  }
  return low
}
