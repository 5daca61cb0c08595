import { spawnSync } from 'node:child_process'
import t from 'tap'

/** Rows of the table that it prints, without the heading. */
function simulate(...args: string[]) {
  const { stdout, status } = spawnSync(process.execPath, ['scripts/simulate-fleet.js', ...args], {
    encoding: 'utf8'
  })
  const rows = stdout.split('\n').filter((line) => line.startsWith('| '))
  return {
    stdout,
    status,
    rows: rows.slice(2).map((row) => row.split(' | ').map((cell) => cell.replace(/\W/g, '')))
  }
}

const text = ['--tokens', '8', '--steps', '8']

t.test('who is alone waits for his own passes', async (t) => {
  // Of 8 positions, some share a step: 8 steps take 5 to 8 passes, and no other number is likely.
  const { stdout, status, rows } = simulate(
    ...['size', ...text, '--cost', '100,0,0', '--rate', '0.05', '--p99-ms', '900', '--seconds', '2000']
  )
  t.equal(status, 0)
  t.match(stdout, /\n1 replicas\.\n$/)
  const [[replicas, busy, refused, p50, p99]] = rows as [[string, string, string, string, string]]
  t.same([replicas, refused], ['1', '0'])
  t.ok(['400', '500', '600'].includes(p50), p50)
  t.ok(Number(p99) >= 600 && Number(p99) <= 900, p99)
  t.ok(Number(busy) <= 4, busy)
})

t.test('the fewest replicas: one less is too slow, or too few', async (t) => {
  const { stdout, rows } = simulate(
    ...['size', ...text, '--cost', '1,0.5,0.5', '--rate', '100', '--p99-ms', '200', '--seconds', '10']
  )
  const found = /\n(\d+) replicas\.\n$/.exec(stdout)![1]!
  const p99 = new Map(rows.map(([replicas, , , , ms]) => [Number(replicas), Number(ms)]))
  t.ok(p99.get(Number(found))! <= 200)
  t.ok(p99.get(Number(found) - 1)! > 200)
  const never = simulate('size', ...text, '--cost', '100,0,0', '--rate', '1', '--p99-ms', '10')
  t.match(never, { status: 1, stdout: /No number of replicas does: texts alone take [678]00 ms/ })
})

t.test(
  'where replicas are unequal, those who wait longest wait less with what is owed than in turn',
  async (t) => {
    const options = [
      '--cost',
      '3,0.02,0.02',
      '--replicas',
      '6',
      '--loads',
      '0.8',
      '--slowness',
      '3',
      '--seconds',
      '5'
    ]
    const { stdout, rows } = simulate('balance', ...text, ...options)
    const p99 = new Map(rows.map((cells) => [cells[2], Number(cells[5])]))
    t.ok(p99.get('leastowed')! < p99.get('inturn')!)
    t.equal(simulate('balance', ...text, ...options).stdout, stdout, 'again, the same')
  }
)
