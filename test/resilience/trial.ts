import { appendFileSync } from 'node:fs'
import t, { type Test } from 'tap'

export interface Found {
  /** How often it was tried. */
  readonly times: number
  /** What did not hold, a line each. */
  readonly lost: readonly string[]
  /** What was measured besides. */
  readonly note?: string
}

export type Trial = (t: Test) => Promise<Found>

const TIMEOUT_MS = 3_000_000

/** A test that counts, and writes its row of the table in docs/reliability.md where RELIABILITY_ROWS names a file. */
export function trial(tried: string, holds: string, run: Trial): void {
  writeRow({ tried }) // what was tried and has no other row broke off
  t.test(tried, { timeout: TIMEOUT_MS }, async (t) => {
    const begun = performance.now()
    const { times, lost, note = '' } = await run(t)
    const seconds = Math.round((performance.now() - begun) / 1000)
    t.same(lost.slice(0, 5), [], holds)
    t.comment(`${times} times, ${lost.length} lost, ${seconds} s. ${note}`)
    writeRow({ tried, holds, times, lost: lost.length, seconds, note })
  })
}

/** Says in the table why something was not tried. */
export function untried(tried: string, reason: string): void {
  t.test(tried, { skip: reason }, () => {})
  writeRow({ tried })
  writeRow({ tried, holds: '', times: 0, lost: 0, seconds: 0, note: `not tried: ${reason}` })
}

function writeRow(row: object): void {
  const file = process.env.RELIABILITY_ROWS
  if (file) appendFileSync(file, `${JSON.stringify(row)}\n`)
}
