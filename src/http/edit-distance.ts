/** Letters to insert, delete or replace to make `b` of `a` (Levenshtein). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const above = row
    row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, above[j]! + 1, row[j - 1]! + 1))
    }
  }
  return row.at(-1)!
}

/** The name a typing slip away from this one. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const slips = name.length > 4 ? 2 : 1
  return names
    .filter((other) => Math.abs(other.length - name.length) <= slips)
    .map((other) => ({ other, distance: editDistance(name, other) }))
    .filter(({ distance }) => distance <= slips)
    .sort((a, b) => a.distance - b.distance)[0]?.other
}
