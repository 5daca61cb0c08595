import t from 'tap'
import { Backlog } from '../../src/bench/backlog.js'
import type { Call } from '../../src/bench/call.js'

/** Requests at a constant rate to a server of one place. */
function calls(rate: number, textMs: number, ms: number): Call[] {
  let free = 0
  return Array.from({ length: Math.floor((rate * ms) / 1000) }, (_, n) => {
    const due = (1000 * n) / rate
    free = Math.max(free, due) + textMs
    return { due, sent: due, ended: free, outcome: 'done' as const }
  })
}

function grows(rate: number, textMs: number): boolean {
  const backlog = new Backlog()
  for (let round = 0; round < 4; round++)
    backlog.addSlice({ start: 0, stop: 5000 }, calls(rate, textMs, 5000))
  return backlog.grows
}

t.test('a queue that grows through the round is told from one that stands', async (t) => {
  t.notOk(grows(10, 90))
  t.notOk(grows(10, 99.9))
  t.ok(grows(10, 150))
  t.ok(grows(100, 12))
  t.ok(grows(2, 1500), 'with few requests too')
})
