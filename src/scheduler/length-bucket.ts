/**
 * The padded length of a sequence: the next power of two or one and a half times it, from 16 up, at most the context.
 * It depends on the sequence alone, never on its neighbours, and so do the padded sums of its pass: a text stays
 * the same to the bit whatever it shares a batch with.
 */
export function lengthBucket(length: number, context: number): number {
  let power = 16
  while (power < length) power *= 2
  const between = (power / 4) * 3
  return Math.min(context, power > 16 && between >= length ? between : power)
}
