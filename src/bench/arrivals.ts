import type { Arrivals } from './plan.js'

/**
 * When requests are due, in milliseconds from the start, for as long as they are within the time. Poisson arrivals are drawn
 * from the round's number, so that every run of a round is asked at the same moments.
 */
export function* dueTimes(
  arrivals: Arrivals,
  rate: number,
  seconds: number,
  round: number
): Generator<number> {
  const random = mulberry32(round)
  const gap = () => (arrivals === 'constant' ? 1 : -Math.log(1 - random())) / rate
  for (let due = gap(); due < seconds; due += gap()) yield 1000 * due
}

/** A small generator of numbers in [0, 1) (mulberry32): arrivals need no better one. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
