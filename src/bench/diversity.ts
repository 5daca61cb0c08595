/** How varied texts are, as distill/diversity.py has it. Texts are lists of tokens. */

type Tokens = readonly number[]

/** Of the tokens of one text, nats: [1, 1, 2, 2] -> log 2. */
export function entropy(tokens: Tokens): number {
  let sum = 0
  for (const count of counts(tokens, 1).values())
    sum -= (count / tokens.length) * Math.log(count / tokens.length)
  return sum
}

/** Different n-grams of all texts together, as a share of all: [[1, 2], [1, 3]], 1 -> 3 / 4. */
export function distinct(texts: readonly Tokens[], n: number): number {
  const different = new Set<string>()
  let all = 0
  for (const tokens of texts) {
    for (const [gram, count] of counts(tokens, n)) {
      different.add(gram)
      all += count
    }
  }
  return different.size / Math.max(1, all)
}

/**
 * n-grams of one text that were in it before, as a share of all (seq-rep-n, Welleck et al. 2020): [1, 2, 1, 2], 2 -> 1 / 3; 0 where it
 * has none.
 */
export function repetition(tokens: Tokens, n: number): number {
  return tokens.length < n ? 0 : 1 - distinct([tokens], n)
}

function counts(tokens: Tokens, n: number): Map<string, number> {
  const found = new Map<string, number>()
  for (let i = 0; i + n <= tokens.length; i++) {
    const gram = tokens.slice(i, i + n).join()
    found.set(gram, (found.get(gram) ?? 0) + 1)
  }
  return found
}
