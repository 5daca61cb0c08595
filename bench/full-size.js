/** What benches at the published size share: a model with random weights, made once, and the interpreter that makes it. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An interpreter that has distill's requirements. */
export const PYTHON = process.env.PYTHON ?? 'python3'

/** Why there is no model of this size; undefined when there can be. */
export function missingPython() {
  try {
    execFileSync(PYTHON, ['-c', 'import onnx, onnxruntime, torch'], { stdio: 'ignore' })
  } catch {
    return `${PYTHON} lacks distill's requirements; PYTHON names one that has them`
  }
}

/** Runs a bench that needs Python, or says why not. */
export async function withPython(name, bench) {
  const missing = missingPython()
  if (missing) console.log(`${name} skipped: ${missing}`)
  else await bench()
}

/** The folder of the model: `float32/` and `int8/` to serve. */
export function fullSizeModel() {
  const folder = join(tmpdir(), 'fewstep-full-size')
  if (!existsSync(join(folder, 'int8', 'model.json'))) {
    mkdirSync(folder, { recursive: true })
    execFileSync(PYTHON, ['bench/full_size.py', folder, 'float32', 'int8'], { stdio: 'inherit' })
  }
  return folder
}
