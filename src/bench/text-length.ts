/** How long texts are asked to be. A number: all alike; or drawn for each text. */
export type TextLength =
  | number
  | { readonly uniform: readonly [low: number, high: number] }
  | { readonly lognormal: readonly [median: number, sigma: number] }

/** `64`, `uniform:16:128` (both ends may come) or `lognormal:64:0.5` (median, and deviation of the log). Undefined where it is none of them. */
export function parseTextLength(text: string): TextLength | undefined {
  const [kind, ...rest] = text.split(':')
  const numbers = rest.map((part) => (part.trim() ? Number(part) : Number.NaN))
  const [a, b] = numbers as [number, number]
  if (rest.length === 0) return isTokens(Number(text)) && text.trim() ? Number(text) : undefined
  if (rest.length !== 2) return undefined
  if (kind === 'uniform' && isTokens(a) && isTokens(b) && a <= b) return { uniform: [a, b] }
  if (kind === 'lognormal' && isTokens(a) && b > 0 && b <= 4) return { lognormal: [a, b] }
  return undefined
}

const isTokens = (value: number) => Number.isInteger(value) && value >= 1 && value <= 1_000_000

/** Of one text, tokens. */
export function drawTextLength(length: TextLength, random: () => number): number {
  if (typeof length === 'number') return length
  if ('uniform' in length) {
    const [low, high] = length.uniform
    return low + Math.floor(random() * (high - low + 1))
  }
  const [median, sigma] = length.lognormal
  return Math.max(1, Math.round(median * Math.exp(sigma * normal(random))))
}

/** Of mean 0 and deviation 1 (Box and Muller, 1958). */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
