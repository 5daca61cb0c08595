/** Items of several iterators as they come. The first one that throws ends all. */
export async function* merge<T>(iterators: readonly AsyncIterator<T>[]): AsyncGenerator<T> {
  const next = async (iterator: AsyncIterator<T>) => ({ iterator, result: await iterator.next() })
  const pending = new Map(iterators.map((iterator) => [iterator, next(iterator)]))
  while (pending.size > 0) {
    const { iterator, result } = await Promise.race(pending.values())
    if (result.done) {
      pending.delete(iterator)
    } else {
      pending.set(iterator, next(iterator))
      yield result.value
    }
  }
}
