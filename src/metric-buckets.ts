/** Seconds of anything from a pass on a GPU to a text that waited for minutes. */
export const seconds = [
  0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300
]

/** From `first` to `last`, each so many times the one before. */
export function powers(base: number, first: number, last: number): number[] {
  const count = Math.round(Math.log(last / first) / Math.log(base)) + 1
  return Array.from({ length: count }, (_, i) => first * base ** i)
}
