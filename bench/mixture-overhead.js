/** What does lambda cost? The same passes on the student, a mixture, and on its teacher, which is the same network without lambda. */
import { OnnxDenoiser } from '../dist/denoiser/onnx-denoiser.js'
import { minMedianMax, report } from './report.js'

const ROUNDS = 60
const STEPS = 8 // a pass reveals an eighth of its positions

const student = await OnnxDenoiser.load('models/student', { device: 'cpu', deviceId: 0, threads: 2 })
const teacher = await OnnxDenoiser.load('models/teacher', { device: 'cpu', deviceId: 0, threads: 2 })
const length = student.manifest.context_length

const results = []
for (const batch of [1, 8]) {
  const pass = passOf(batch)
  const times = { student: [], teacher: [], ratio: [] }
  for (let round = -5; round < ROUNDS; round++) {
    const ms = { teacher: await timed(teacher, pass), student: await timed(student, pass) }
    if (round < 0) continue // warm-up
    times.student.push(ms.student)
    times.teacher.push(ms.teacher)
    times.ratio.push(ms.student / ms.teacher)
  }
  results.push({ batch, ...times })
}
await student.close()
await teacher.close()

const spread = (values, digits) => {
  const { min, median, max } = minMedianMax(values)
  return [min, median, max].map((value) => value.toFixed(digits)).join(', ')
}
report(
  'mixture-overhead',
  `One pass over ${length} positions on the student (mixture) and on its teacher (product), in turn (min, median, max).`,
  results.flatMap(({ batch, student: mixture, teacher: product, ratio }) => [
    {
      what: `student, batch ${batch}`,
      figure: `${spread(mixture, 1)} ms`,
      goal: batch === 1 ? '<= 150 ms' : ''
    },
    { what: `teacher, batch ${batch}`, figure: `${spread(product, 1)} ms` },
    { what: `student / teacher, batch ${batch}`, figure: spread(ratio, 3), goal: 'median <= 1.02' }
  ]),
  results
)

async function timed(denoiser, pass) {
  const start = performance.now()
  await denoiser.run(pass)
  return performance.now() - start
}

function passOf(batch) {
  const { bos_token: bos, mask_token: mask } = student.manifest
  const rows = Int32Array.from({ length: (batch * length) / STEPS }, (_, row) => row * STEPS + 1)
  const of = (type, value) => new type(rows.length).fill(value)
  return {
    length,
    tokens: new Int32Array(batch * length).map((_, i) => (i % length === 0 ? bos : mask)),
    lengths: new Int32Array(batch).fill(length),
    lambda: new Float32Array(batch).fill(0.5),
    rows,
    coins: of(Float64Array, 0.5),
    temperature: of(Float32Array, 1),
    topP: of(Float32Array, 1),
    topK: of(Int32Array, 0),
    alternatives: false
  }
}
