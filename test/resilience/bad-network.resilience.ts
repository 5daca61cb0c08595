/** A network that delays and loses packets, in a namespace of its own: nothing else on this machine is touched. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { untried } from './trial.js'

/** Ways to spoil loopback, best first; not every kernel has each. */
const ways = {
  '30 ± 15 ms and 3 % loss each way': 'tc qdisc add dev lo root netem delay 30ms 15ms loss 3%',
  '3 % loss each way and 2 Mbit/s':
    'iptables -A INPUT -m statistic --mode random --probability 0.03 -j DROP && tc qdisc add dev lo root tbf rate 2mbit burst 10kb latency 50ms'
}

const inNamespace = (script: string) => ['-rn', 'sh', '-c', `ip link set lo up mtu 1500 && ${script}`]
const works = ([, spoil]: [string, string]) => spawnSync('unshare', inNamespace(spoil)).status === 0
const way = Object.entries(ways).find(works)

if (!way) await untried('a network that loses packets', 'no namespace, or no netem and no iptables in it')
else {
  const [line, spoil] = way
  const script = `${spoil} && exec "$@"`
  const program = [process.execPath, ...process.execArgv, 'test/resilience/on-a-bad-line.ts']
  await t.spawn('unshare', [...inNamespace(script), 'sh', ...program], {
    env: { ...process.env, BAD_LINE: line }
  })
}
