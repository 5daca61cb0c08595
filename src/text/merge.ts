/**
 * Items of several iterators as they come; each is asked for its next item when its last one was taken. When one throws, what the
 * others have is still told, and then its error thrown.
 * @param stop called when one throws: the others have to end
 */
export async function* merge<T>(iterators: readonly AsyncIterator<T>[], stop: () => void): AsyncGenerator<T> {
  const come: { readonly iterator: AsyncIterator<T>; readonly result: IteratorResult<T> | undefined }[] = []
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}
  const ask = (iterator: AsyncIterator<T>) =>
    iterator
      .next()
      .catch((error: unknown) => {
        failure ??= { error }
        stop()
        return undefined
      })
      .then((result) => {
        come.push({ iterator, result })
        wake()
      })
  for (const iterator of iterators) ask(iterator)
  for (let open = iterators.length; open > 0; ) {
    const first = come.shift()
    if (first === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    } else if (first.result === undefined || first.result.done) {
      open--
    } else {
      yield first.result.value
      ask(first.iterator)
    }
  }
  if (failure) throw failure.error
}
