import type { Arrivals } from './plan.js'
import { randomFrom } from './random.js'

export interface Schedule {
  readonly arrivals: Arrivals
  /** Requests a second; of a ramp, at its end. */
  readonly rate: number
  readonly seconds: number
  readonly requests: number
  readonly round: number
}

/**
 * When requests are due, in milliseconds from the start: as many as there may be, for as long as they are within the time; one of the
 * two may be endless. Poisson arrivals are drawn from the round's number, so that every run of a round is asked at the same moments. A ramp
 * goes from nothing to its rate.
 */
export function* dueTimes({ arrivals, rate, seconds, requests, round }: Schedule): Generator<number> {
  const random = randomFrom(round)
  const rampSeconds = Math.min(seconds, (2 * requests) / rate)
  const next: Record<Arrivals, (due: number, n: number) => number> = {
    constant: (due) => due + 1 / rate,
    poisson: (due) => due - Math.log(1 - random()) / rate,
    ramp: (_, n) => Math.sqrt((2 * n * rampSeconds) / rate) // n requests by then: rate * due^2 / (2 * rampSeconds)
  }
  let due = 0
  for (let n = 1; n <= requests; n++) {
    due = next[arrivals](due, n)
    if (due >= seconds) return
    yield 1000 * due
  }
}
