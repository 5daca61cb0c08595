/** How near does a pass come to what this machine's matrix products reach, and where does the rest go? (bench/roofline.py) */
import { execFileSync } from 'node:child_process'
import { availableCores } from '../dist/available-cores.js'
import { fullSizeModel, PYTHON, withPython } from './full-size.js'
import { report } from './report.js'

const LENGTH = Number(process.env.LENGTH ?? 1024)
const BATCHES = process.env.BATCHES ?? '1'
const THREADS = availableCores()

await withPython('roofline', async () => {
  const command = ['bench/roofline.py', fullSizeModel(), THREADS, LENGTH, BATCHES].map(String)
  const stdio = ['ignore', 'pipe', 'inherit']
  const result = JSON.parse(execFileSync(PYTHON, command, { encoding: 'utf8', stdio }))
  report(
    'roofline',
    `A pass at the published size, float32, ${LENGTH} tokens and a sixteenth of them as rows, ${THREADS} threads: its arithmetic against the best rate of a matrix product (${LENGTH} x 768 x 3072, in ONNX Runtime or PyTorch) in the same run, and its parts from ONNX Runtime's profile.`,
    [
      { what: 'matrix product', figure: gflops(result.gemm) },
      ...result.passes.flatMap((pass) => rowsOf(pass, result.gemm))
    ],
    result
  )
})

function rowsOf({ batch, seconds, flops, parts }, gemm) {
  const name = `${batch} at once`
  return [
    {
      what: `${name}: a pass`,
      figure: `${seconds.toFixed(2)} s, ${gflops(flops)}, ${percent(flops / gemm)} of a matrix product's`,
      goal: batch * LENGTH >= 1024 ? '>= 75 %' : ''
    },
    ...Object.entries(parts).map(([part, { share, flops }]) => ({
      what: `${name}: ${part}`,
      figure: `${percent(share)}${flops ? `, ${gflops(flops)}` : ''}`
    }))
  ]
}

function gflops(rate) {
  return `${(rate / 1e9).toFixed(0)} GFLOP/s`
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`
}
