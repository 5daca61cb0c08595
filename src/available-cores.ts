import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/**
 * Cores this process may keep busy: those it may be scheduled on, or fewer under a cgroup's quota, which
 * `availableParallelism` of Node 20 does not see. More threads than that take turns and slow a pass down.
 */
export function availableCores(cgroup = '/sys/fs/cgroup'): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(quota(cgroup))))
}

/** CPU time a period, in cores: `cpu.max` of cgroup 2 holds "quota period" or "max period". */
function quota(cgroup: string): number {
  try {
    const [time, period] = readFileSync(`${cgroup}/cpu.max`, 'utf8').split(' ').map(Number)
    return time! / period! || Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
