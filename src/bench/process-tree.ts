import { readFile } from 'node:fs/promises'

/** What a process and all below it have used and hold; undefined where there is no /proc, or the process has ended. */
export interface ProcessTree {
  readonly cpuSeconds: number
  readonly residentMiB: number
}

/** Linux tells times of processes in hundredths of a second on every machine. */
const TICKS_A_SECOND = 100

export async function processTree(pid: number): Promise<ProcessTree | undefined> {
  try {
    const [stat, status, children] = await Promise.all(
      ['stat', 'status', `task/${pid}/children`].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8'))
    )
    const fields = stat!.slice(stat!.lastIndexOf(')') + 2).split(' ') // from the third on: a name may hold spaces
    const below = await Promise.all(
      children!
        .split(' ')
        .filter(Boolean)
        .map((child) => processTree(Number(child)))
    )
    const own = {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND,
      residentMiB: Number(/VmRSS:\s+(\d+)/.exec(status!)![1]) / 1024
    }
    return below.reduce<ProcessTree>(
      (sum, tree) => ({
        cpuSeconds: sum.cpuSeconds + (tree?.cpuSeconds ?? 0),
        residentMiB: sum.residentMiB + (tree?.residentMiB ?? 0)
      }),
      own
    )
  } catch {
    return undefined
  }
}
