/** A network that delays and loses packets, in a namespace of its own: nothing else on this machine is touched. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { untried } from './trial.js'

interface Line {
  readonly what: string
  /** Runs the program that follows on this line. */
  readonly command: readonly string[]
  /** Where a server listens, and where it is reached over the line. */
  readonly addresses?: readonly [listens: string, reached: string]
}

const spoiled = (script: string) => ['sh', '-c', `ip link set lo up mtu 1500 && ${script} && exec "$@"`, 'sh']

/** Best first; not every kernel has each. */
const lines: Line[] = [
  {
    what: '30 ± 15 ms and 3 % loss each way',
    command: spoiled('tc qdisc add dev lo root netem delay 30ms 15ms loss 3%')
  },
  {
    what: '30 ± 15 ms and 3 % loss each way',
    command: ['python3', 'test/resilience/bad-line.py'],
    addresses: ['10.77.0.1', '10.77.0.2']
  },
  {
    what: '3 % loss each way and 2 Mbit/s, no delay',
    command: spoiled(
      'iptables -A INPUT -m statistic --mode random --probability 0.03 -j DROP && tc qdisc add dev lo root tbf rate 2mbit burst 10kb latency 50ms'
    )
  }
]
const line = lines.find(({ command }) => spawnSync('unshare', ['-rn', ...command, 'true']).status === 0)

if (!line) untried('a network that delays and loses packets', 'no namespace, or no way to spoil one')
else {
  const { what, command, addresses = ['127.0.0.1', '127.0.0.1'] } = line
  const program = [process.execPath, ...process.execArgv, 'test/resilience/on-a-bad-line.ts', ...addresses]
  await t.spawn('unshare', ['-rn', ...command, ...program], { env: { ...process.env, BAD_LINE: what } })
}
