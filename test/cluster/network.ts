import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'

const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] })

/** A machine of its own as far as the network goes: a namespace with one address. */
export interface Host {
  readonly name: string
  readonly address: string
  /** Starts a program there. It ends with the network at the latest. */
  run(command: string[], env?: Record<string, string>, stdio?: StdioOptions): ChildProcess
  /** Takes its cable out, or puts it in again: packets are lost, nobody is told. */
  plug(isIn: boolean): void
}

/**
 * Hosts on one wire, which leads nowhere else:
 *
 *   this process 198.18.0.1 --- bridge --- namespace "a" 198.18.0.2
 *                                    '---- namespace "b" 198.18.0.3 ...
 *
 * The addresses are those set aside for measurements (RFC 2544). Needs a network namespace of its own to be made in
 * (scripts/test-cluster.sh), and root there.
 */
export class Network {
  readonly #programs: ChildProcess[] = []
  readonly #hosts: string[] = []

  constructor() {
    ip('link', 'set', 'lo', 'up')
    ip('link', 'add', 'wire', 'type', 'bridge')
    ip('address', 'add', '198.18.0.1/24', 'dev', 'wire')
    ip('link', 'set', 'wire', 'up')
  }

  host(name: string): Host {
    const address = `198.18.0.${1 + this.#hosts.push(name)}`
    const cable = `to-${name}`
    ip('netns', 'add', name)
    ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'wire', 'netns', name)
    ip('link', 'set', cable, 'master', 'wire', 'up')
    ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'wire')
    for (const device of ['lo', 'wire']) ip('-n', name, 'link', 'set', device, 'up')
    return {
      name,
      address,
      run: (command, env = {}, stdio = ['ignore', 'inherit', 'inherit']) => {
        const program = spawn('ip', ['netns', 'exec', name, ...command], {
          env: { ...process.env, ...env },
          stdio
        })
        this.#programs.push(program)
        return program
      },
      plug: (isIn) => ip('link', 'set', cable, isIn ? 'up' : 'down')
    }
  }

  /** Ends all programs, and removes the wire. */
  async close(): Promise<void> {
    for (const program of this.#programs) {
      if (program.exitCode !== null || program.signalCode !== null) continue
      program.kill('SIGKILL')
      await once(program, 'exit')
    }
    for (const name of this.#hosts) ip('netns', 'delete', name)
    ip('link', 'delete', 'wire')
  }
}
