/**
 * Where a text longer than the context is written: window after window, each seeing what is left of it
 * (semi-autoregressive, as MDLM's sampler for long texts).
 *
 *   |<----------- context ----------->|
 *   [ prompt ][ revealed here         ]
 *                    [ seen, not changed ][ revealed here ]
 */
export interface Window {
  readonly start: number
  readonly end: number // exclusive
  /** Positions from here to the end are revealed in this window. */
  readonly from: number
}

/**
 * @param length tokens of the whole text
 * @param firstMasked its first masked position
 * @param context the longest window
 */
export function layOutWindows(length: number, firstMasked: number, context: number): Window[] {
  if (length <= context) return [{ start: 0, end: length, from: firstMasked }]
  const seen = Math.floor(context / 2)
  const windows: Window[] = []
  for (let from = firstMasked; from < length; ) {
    const end = Math.min(length, Math.max(0, from - seen) + context)
    windows.push({ start: Math.max(0, end - context), end, from })
    from = end
  }
  return windows
}
