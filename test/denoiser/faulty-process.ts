/** Stands in for a denoiser's process that opens its model and then goes wrong, in the way that the model's name says. */
const faults: Readonly<Record<string, (id: number) => void>> = {
  garbage: () => process.send!('no answer'),
  crash: () => {
    throw new Error('out of memory')
  },
  failure: (id) => process.send!({ id, type: 'failed', name: 'Error', message: 'CUDA error 700' })
}

process.on('disconnect', () => process.exit())
process.on('message', ({ id, type }: { id: number; type: 'load' | 'pass' }) => {
  const [when, fault] = process.argv[2]!.split('-')
  if (type === when) faults[fault!]!(id)
  else process.send!({ id, type: 'loaded' })
})
