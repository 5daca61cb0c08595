/** Items of several iterators as they come; each is asked for its next item when its last one was taken. The first that throws ends all. */
export async function* merge<T>(iterators: readonly AsyncIterator<T>[]): AsyncGenerator<T> {
  const come: { readonly iterator: AsyncIterator<T>; readonly result: IteratorResult<T> }[] = []
  let failure: { readonly error: unknown } | undefined
  let wake = () => {}
  const ask = (iterator: AsyncIterator<T>) =>
    iterator
      .next()
      .then(
        (result) => void come.push({ iterator, result }),
        (error) => {
          failure ??= { error }
        }
      )
      .then(() => wake())
  for (const iterator of iterators) ask(iterator)
  for (let open = iterators.length; open > 0; ) {
    if (failure) throw failure.error
    const first = come.shift()
    if (first === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    } else if (first.result.done) {
      open--
    } else {
      yield first.result.value
      ask(first.iterator)
    }
  }
}
