/** Questions to a queue that are open at once: it may be far away. */
export const AT_ONCE = 32

/** What `work` makes of each item, in the order of the items; it is at work on up to `many` of them at once. */
export async function* ahead<T, R>(
  items: AsyncIterable<T>,
  many: number,
  work: (item: T) => Promise<R>
): AsyncGenerator<R> {
  const inWork: Promise<R>[] = []
  for await (const item of items) {
    const result = work(item)
    result.catch(() => {}) // thrown when it is its turn
    inWork.push(result)
    if (inWork.length >= many) yield inWork.shift()!
  }
  yield* inWork
}
