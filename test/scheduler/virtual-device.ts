import { setImmediate } from 'node:timers/promises'
import { type Clock, install } from '@sinonjs/fake-timers'
import type { Denoiser, Pass, Revealed } from '../../src/denoiser/denoiser.js'
import type { PassCost } from '../../src/scheduler/pass-cost.js'
import { TableDenoiser } from '../table-denoiser.js'

/** Time that passes only when it is told to: `performance.now()` and timers. */
export function virtualTime(): Clock {
  return install({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
}

/** To the next moment at which something happens, when all that follows from the one before has happened. */
export async function goOn(clock: Clock): Promise<void> {
  await setImmediate()
  await clock.nextAsync()
  await setImmediate()
}

/** Devices on which a pass takes, in virtual time, exactly what it costs. Each runs one at a time. */
export class VirtualDevice implements Denoiser {
  readonly device = 'cpu'
  readonly manifest = new TableDenoiser().manifest
  readonly parallel: number
  readonly #cost: PassCost
  readonly #freeAt: number[]

  constructor(cost: PassCost, parallel = 1) {
    this.#cost = cost
    this.parallel = parallel
    this.#freeAt = Array(parallel).fill(0)
  }

  async run({ tokens, rows }: Pass): Promise<Revealed> {
    const passMs = this.#cost.estimate({ tokens: tokens.length, rows: rows.length })
    const now = performance.now()
    const device = this.#freeAt.indexOf(Math.min(...this.#freeAt))
    const endsAt = Math.max(now, this.#freeAt[device]!) + passMs
    this.#freeAt[device] = endsAt
    await new Promise((resolve) => setTimeout(resolve, endsAt - now))
    return {
      tokens: new Int32Array(rows.length),
      probabilities: new Float32Array(rows.length),
      alternativeTokens: new Int32Array(0),
      alternativeProbabilities: new Float32Array(0),
      passMs
    }
  }

  async close(): Promise<void> {}
}
