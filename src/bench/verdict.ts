import type { Result } from './measurement.js'
import { loadName, nameOf } from './plan.js'

/** What each run gains on the slowest one under the same load, in words. */
export function verdicts(results: readonly Result[]): string[] {
  return [...new Set(results.map(({ load }) => loadName(load)))].flatMap((load) => {
    const ofLoad = results.filter(
      (result) => loadName(result.load) === load && result.figures.tokensPerSecond > 0
    )
    if (ofLoad.length === 0) return []
    const slowest = ofLoad.reduce((a, b) => (a.figures.tokensPerSecond <= b.figures.tokensPerSecond ? a : b))
    return ofLoad
      .filter((result) => result !== slowest)
      .sort((a, b) => b.figures.tokensPerSecond - a.figures.tokensPerSecond)
      .map((result) => `${load}: ${verdict(result, slowest)}`)
  })
}

function verdict(fast: Result, slow: Result): string {
  const times = (fast.figures.tokensPerSecond / slow.figures.tokensPerSecond).toFixed(1)
  const latency = (result: Result) => `${Math.round(result.figures.latency.p50)} ms`
  return (
    `${nameOf(fast)}: ${times}x the throughput of ${nameOf(slow)}; ` +
    `a text in ${latency(fast)} against ${latency(slow)} (median); ` +
    (fast.perplexity && slow.perplexity
      ? `perplexity ${Math.round(fast.perplexity.value)} against ${Math.round(slow.perplexity.value)}; `
      : '') +
    `entropy ${fast.variety.entropy.toFixed(2)} against ${slow.variety.entropy.toFixed(2)} nats`
  )
}
