import type { Result } from './measurement.js'
import { loadName, nameOf } from './plan.js'

/** A load generator that is later than this, milliseconds, has a part in the latencies that it tells. */
const LATE_MS = 20

/** What has to be known to read the figures, in words. */
export function cautions(results: readonly Result[]): string[] {
  return results.flatMap((result) => {
    const name = `${loadName(result.load)}: ${nameOf(result)}`
    const { saturation, figures } = result
    const late = figures.sendDelay.p99
    return [
      ...(saturation ? [`${name} is over-saturated: ${saturation}. Higher loads of it were left out.`] : []),
      ...(late > LATE_MS
        ? [
            `${name}: this machine sent requests late (p99 ${Math.round(late)} ms), which is a part of their latency.`
          ]
        : [])
    ]
  })
}
