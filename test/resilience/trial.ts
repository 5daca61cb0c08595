import { appendFile } from 'node:fs/promises'
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
  t.test(tried, { timeout: TIMEOUT_MS }, async (t) => {
    const begun = performance.now()
    const { times, lost, note = '' } = await run(t)
    const seconds = Math.round((performance.now() - begun) / 1000)
    t.same(lost.slice(0, 5), [], holds)
    t.comment(`${times} times, ${lost.length} lost, ${seconds} s. ${note}`)
    await writeRow({ tried, holds, times, lost: lost.length, seconds, note })
  })
}

/** Says in the table why something was not tried. */
export async function untried(tried: string, reason: string): Promise<void> {
  t.test(tried, { skip: reason }, () => {})
  await writeRow({ tried, holds: '', times: 0, lost: 0, seconds: 0, note: `not tried: ${reason}` })
}

async function writeRow(row: object): Promise<void> {
  const file = process.env.RELIABILITY_ROWS
  if (file) await appendFile(file, `${JSON.stringify(row)}\n`)
}
