/** The denoiser's process itself, whose passes go wrong as long as a file `broken` in the model's folder says how. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

await import('../../src/denoiser/denoiser-process.js')

interface Question {
  readonly id: number
  readonly type: 'load' | 'pass'
  readonly folder: string
}

const faults: Readonly<Record<string, (id: number) => void>> = {
  crash: () => process.exit(7),
  hang: () => {},
  failure: (id) => process.send!({ id, type: 'failed', name: 'Error', message: `${folder}/x: no memory` })
}

const [answer] = process.listeners('message')
let folder = ''
process.removeAllListeners('message')
process.on('message', (question: Question) => {
  if (question.type === 'load') folder = question.folder
  const broken = join(folder, 'broken')
  if (question.type === 'pass' && existsSync(broken)) faults[readFileSync(broken, 'utf8')]!(question.id)
  else answer!(question, undefined)
})
