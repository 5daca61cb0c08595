/** Stands in for a denoiser's process that opens its model and then goes wrong, in the way that the model's name says. */
import { writeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { ANSWERS, answerOwner } from '../../src/denoiser/answer-owner.js'

const SLOW_MS = 400
let turn: Promise<void> = Promise.resolve()

const never = new Promise(() => {})
const bytes = (...given: number[]) => {
  writeSync(ANSWERS, Buffer.from(given))
  return never
}

const faults: Readonly<Record<string, () => unknown>> = {
  nonsense: () => ({ type: 'nonsense' }),
  text: () => bytes(...Buffer.from('hello world, this is no message at all\n')),
  value: () => bytes(4, 0, 0, 0, 1, 2, 3, 4),
  length: () => bytes(255, 255, 255, 127),
  crash: () => {
    queueMicrotask(() => {
      throw new Error('out of memory')
    })
    return never
  },
  slowness: async () => {
    turn = turn.then(() => setTimeout(SLOW_MS))
    await turn
    return { type: 'failed', name: 'Error', message: 'slow' }
  },
  failure: () => ({ type: 'failed', name: 'Error', message: 'CUDA error 700' })
}

answerOwner(async ({ type }) => {
  const [when, fault] = process.argv[2]!.split('-')
  return type === when ? faults[fault!]!() : { type: 'loaded' }
})
