import type { Answer, Question } from './messages.js'
import { OnnxDenoiser } from './onnx-denoiser.js'

let denoiser: OnnxDenoiser | undefined

/** What a denoiser's process answers: it opens one model, then runs the passes it is sent. */
export async function answerQuestion(question: Question): Promise<Answer> {
  try {
    if (question.type === 'pass') return { type: 'revealed', revealed: await denoiser!.run(question.pass) }
    denoiser = await OnnxDenoiser.open(question.folder, question.manifest, question)
    return { type: 'loaded' }
  } catch (error) {
    const { name, message } = error as Error
    return { type: 'failed', name, message }
  }
}
