/** The denoiser's process itself, whose passes go wrong as long as a file `broken` in the model's folder says how. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { answerOwner } from '../../src/denoiser/answer-owner.js'
import { answerQuestion } from '../../src/denoiser/answer-question.js'

const faults: Readonly<Record<string, () => unknown>> = {
  crash: () => process.exit(7),
  hang: () => new Promise(() => {}),
  failure: () => ({ type: 'failed', name: 'Error', message: `${folder}/x: no memory` })
}

let folder = ''
answerOwner(async (question) => {
  if (question.type === 'load') folder = question.folder
  const broken = join(folder, 'broken')
  if (question.type === 'pass' && existsSync(broken)) return faults[readFileSync(broken, 'utf8')]!()
  return answerQuestion(question)
})
