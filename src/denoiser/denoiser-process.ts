/**
 * The denoiser's own process: opens one model, then runs the passes it is sent, in their order. `session.run` blocks this
 * thread, so they never overlap. It ends when its owner is gone; signals to the whole process group (Ctrl-C, a service
 * that stops) are its owner's business, which first finishes what it accepted.
 */
import { setPriority } from 'node:os'
import type { Answer, Question } from './messages.js'
import { OnnxDenoiser } from './onnx-denoiser.js'

/** On a CPU, answering clients comes first: the arithmetic gives way. */
const NICENESS = 5

setPriority(NICENESS)
let denoiser: OnnxDenoiser | undefined

async function answer(question: Question): Promise<Answer> {
  try {
    if (question.type === 'pass') return { type: 'revealed', revealed: await denoiser!.run(question.pass) }
    denoiser = await OnnxDenoiser.open(question.folder, question.manifest, question)
    return { type: 'loaded' }
  } catch (error) {
    const { name, message } = error as Error
    return { type: 'failed', name, message }
  }
}

process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('disconnect', () => process.exit())
process.on('message', async (question: Question & { id: number }) => {
  process.send!({ ...(await answer(question)), id: question.id })
})
