/**
 * Pearson's chi-square statistic of counts against probabilities, as the number of standard deviations that a
 * normal variable of the same tail would show (Wilson and Hilferty's cube root): above 4 has probability 3e-5.
 * Categories expected fewer than 5 times are pooled.
 */
export function chiSquareDeviation(counts: readonly number[], probabilities: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  let statistic = 0
  let categories = 0
  let pooledCount = 0
  let pooledExpected = 0
  for (const [i, probability] of probabilities.entries()) {
    const expected = total * probability
    if (expected < 5) {
      pooledCount += counts[i]!
      pooledExpected += expected
    } else {
      statistic += (counts[i]! - expected) ** 2 / expected
      categories++
    }
  }
  if (pooledExpected > 0) {
    statistic += (pooledCount - pooledExpected) ** 2 / pooledExpected
    categories++
  }
  const freedom = categories - 1
  const spread = 2 / (9 * freedom)
  return (Math.cbrt(statistic / freedom) - (1 - spread)) / Math.sqrt(spread)
}
