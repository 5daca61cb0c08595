/** Items of several iterators as they come. The first one that throws ends all. */
export async function* merge<T>(iterators: readonly AsyncIterator<T>[]): AsyncGenerator<T> {
  const next = async (iterator: AsyncIterator<T>) => ({ iterator, result: await iterator.next() })
  const pending = new Map(iterators.map((iterator) => [iterator, next(iterator)]))
  while (pending.size > 0) {
    const { iterator, result } = await Promise.race(pending.values())
    pending.delete(iterator)
    if (result.done) continue
    yield result.value
    pending.set(iterator, next(iterator)) // behind the others: none of them starves
  }
}
