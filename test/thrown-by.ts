/** What a function throws; undefined where it throws nothing. */
export function thrownBy(run: () => void): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
