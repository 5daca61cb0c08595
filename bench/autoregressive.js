/** Is a model of the same size that writes token after token slower, and where is the crossover? Both in ONNX Runtime (bench/autoregressive.py). */
import { execFileSync } from 'node:child_process'
import { availableCores } from '../dist/available-cores.js'
import { fullSizeModel, PYTHON, withPython } from './full-size.js'
import { report } from './report.js'

const LENGTH = Number(process.env.LENGTH ?? 1024)
const BATCHES = process.env.BATCHES ?? '1,16'
const STEPS = [8, 16, 32]
const THREADS = availableCores()

await withPython('autoregressive', async () => {
  const command = ['bench/autoregressive.py', fullSizeModel(), THREADS, LENGTH, BATCHES].map(String)
  const stdio = ['ignore', 'pipe', 'inherit']
  const results = JSON.parse(execFileSync(PYTHON, command, { encoding: 'utf8', stdio }))
  report(
    'autoregressive',
    `Texts of ${LENGTH} tokens, ${THREADS} threads, ONNX Runtime: a GPT-2-shaped model of the same size with a key-value cache, float32, against fewstep's passes. At one text the weights' way from memory bounds the one and arithmetic the other; with several at once the decoder's matrices are products too, and it does that work once where fewstep does it once a pass.`,
    results.flatMap(rowsOf),
    results
  )
})

function rowsOf({ batch, autoregressive, ...passes }) {
  const speed = (seconds) => `${((batch * LENGTH) / seconds).toFixed(0)} tokens/s`
  return [
    { what: `${batch} at once: autoregressive`, figure: speed(autoregressive) },
    ...Object.entries(passes).flatMap(([precision, seconds]) => [
      ...STEPS.map((steps) => ({
        what: `${batch} at once: fewstep, ${precision}, ${steps} steps`,
        figure: `${speed(steps * seconds)}, ${(autoregressive / (steps * seconds)).toFixed(2)} times as fast`
      })),
      {
        what: `${batch} at once: fewstep, ${precision}, as fast at`,
        figure: `${(autoregressive / seconds).toFixed(1)} steps`
      }
    ])
  ]
}
