/** Stands in for a denoiser's process that opens its model and then goes wrong, in the way that the model's name says. */
import { setTimeout } from 'node:timers/promises'

const SLOW_MS = 400
let turn: Promise<void> = Promise.resolve()

const faults: Readonly<Record<string, (id: number) => void>> = {
  garbage: () => process.send!('no answer'),
  crash: () => {
    throw new Error('out of memory')
  },
  slowness: (id) => {
    turn = turn.then(() => setTimeout(SLOW_MS))
    turn.then(() => process.send!({ id, type: 'failed', name: 'Error', message: 'slow' }))
  },
  failure: (id) => process.send!({ id, type: 'failed', name: 'Error', message: 'CUDA error 700' })
}

process.on('disconnect', () => process.exit())
process.on('message', ({ id, type }: { id: number; type: 'load' | 'pass' }) => {
  const [when, fault] = process.argv[2]!.split('-')
  if (type === when) faults[fault!]!(id)
  else process.send!({ id, type: 'loaded' })
})
