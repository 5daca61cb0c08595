/**
 * The denoiser's own process: loads one model, then runs the passes that come, one at a time, in order.
 * It ends when its parent is gone; signals to the process group are the parent's business.
 */
import type { PassMessage, ProcessMessage, ProcessOptions } from './denoiser-messages.js'
import { missingCudaProvider, OnnxDenoiser } from './onnx-denoiser.js'

const options = JSON.parse(process.argv[2]!) as ProcessOptions
const send = (message: ProcessMessage) => process.send?.(message)

process.on('disconnect', () => process.exit())
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})

try {
  const { denoiser, fallback } = await load(options)
  let turn = Promise.resolve()
  process.on('message', ({ id, pass }: PassMessage) => {
    turn = turn.then(async () => {
      try {
        send({ type: 'revealed', id, revealed: await denoiser.run(pass) })
      } catch (error) {
        send({ type: 'failed', id, message: (error as Error).message })
      }
    })
  })
  send({ type: 'ready', device: denoiser.device, fallback })
} catch (error) {
  const { name, message } = error as Error
  send({ type: 'unusable', name, message })
}

async function load({ folder, device, threads }: ProcessOptions) {
  if (device !== 'auto')
    return { denoiser: await OnnxDenoiser.load(folder, { device, threads }), fallback: null }
  let fallback = missingCudaProvider() ?? null
  if (fallback === null) {
    try {
      return { denoiser: await OnnxDenoiser.load(folder, { device: 'cuda', threads }), fallback }
    } catch (error) {
      if ((error as Error).name !== 'DeviceError') throw error
      fallback = (error as Error).message
    }
  }
  return { denoiser: await OnnxDenoiser.load(folder, { device: 'cpu', threads }), fallback }
}
