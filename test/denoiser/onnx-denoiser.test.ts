import { InferenceSession } from 'onnxruntime-node'
import t from 'tap'
import { missingCudaProvider } from '../../src/denoiser/cuda-provider.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { OnnxDenoiser } from '../../src/denoiser/onnx-denoiser.js'
import { alone, golden, toPass, toys } from './toy.js'

const noProvider = missingCudaProvider() ? {} : { skip: 'the provider is there' }
const options = { device: 'cpu', deviceId: 0, threads: 1 } as const
const denoisers = {
  'toy-mixture': await OnnxDenoiser.load(toys.mixture, options),
  'toy-product': await OnnxDenoiser.load(toys.product, options)
}

for (const [name, denoiser] of Object.entries(denoisers)) {
  const { passes } = golden[name as keyof typeof denoisers]

  t.test(`${name} reveals what the Python reference reveals`, async (t) => {
    for (const given of passes) {
      const { expected } = given
      const revealed = await denoiser.run(toPass(given, true))
      t.same(Array.from(revealed.tokens), expected.revealed)
      const closeTo = (got: Float32Array, wanted: number[]) =>
        got.every((x, i) => Math.abs(x - wanted[i]!) < 1e-5)
      t.ok(closeTo(revealed.probabilities, expected.probability))
      t.same(Array.from(revealed.alternativeTokens), expected.alternative_tokens.flat())
      t.ok(closeTo(revealed.alternativeProbabilities, expected.alternative_probabilities.flat()))
    }
  })

  t.test(
    `${name} gives a sequence the same to the bit, alone or in a batch, whatever its neighbours filter`,
    async (t) => {
      for (const given of passes) {
        const whole = toPass(given, false)
        const together = await denoiser.run(whole)
        for (let b = 0; b < whole.lengths.length; b++) {
          const { pass, rows } = alone(whole, b)
          const single = await denoiser.run(pass)
          t.same(
            Array.from(single.tokens),
            rows.map((r) => together.tokens[r])
          )
          t.same(
            Array.from(single.probabilities),
            rows.map((r) => together.probabilities[r])
          )
        }
      }
    }
  )

  t.test(`${name} does not look past the length of a sequence`, async (t) => {
    const pass = toPass(passes[0]!, false)
    const tokens = pass.tokens.map((token, i) =>
      i % pass.length < pass.lengths[Math.floor(i / pass.length)]! ? token : 4171
    )
    t.notSame(tokens, pass.tokens)
    const [plain, garbage] = [await denoiser.run(pass), await denoiser.run({ ...pass, tokens })]
    t.same(garbage.tokens, plain.tokens)
    t.same(garbage.probabilities, plain.probabilities)
  })

  t.test(`${name} reports no alternatives unless asked`, async (t) => {
    const revealed = await denoiser.run(toPass(passes[0]!, false))
    t.equal(revealed.alternativeTokens.length, 0)
    t.equal(revealed.alternativeProbabilities.length, 0)
  })
}

t.test('lambda matters to the mixture', async (t) => {
  const pass = toPass(golden['toy-mixture'].passes[0]!, false)
  const other = { ...pass, lambda: pass.lambda.map((lambda) => (lambda + 0.5) % 1) }
  const [one, two] = [await denoisers['toy-mixture'].run(pass), await denoisers['toy-mixture'].run(other)]
  t.notSame(one.probabilities, two.probabilities)
})

t.test('a graph with other inputs is refused by name', async (t) => {
  const kinds = [
    [toys.product, 'mixture', /denoiser\.onnx: input "lambda": expected float32 of 1 dimension, got none$/],
    [toys.mixture, 'product', /denoiser\.onnx: input "lambda": expected no such, got float32 of 1 dimension$/]
  ] as const
  for (const [folder, kind, message] of kinds) {
    const manifest = { ...(await loadManifest(folder)), kind }
    await t.rejects(OnnxDenoiser.open(folder, manifest, options), { name: 'ModelError', message })
  }
})

t.test('a file that is no graph, and a device without a variant, are refused in one line', async (t) => {
  const manifest = await loadManifest(toys.mixture)
  const folder = t.testdir({ 'denoiser.onnx': 'no graph' })
  await t.rejects(OnnxDenoiser.open(folder, manifest, options), {
    name: 'ModelError',
    message: /denoiser\.onnx: ONNX Runtime cannot use it: [^\n]+$/
  })
  const variants = [{ ...manifest.variants[0]!, devices: ['cuda' as const] }]
  await t.rejects(OnnxDenoiser.open(toys.mixture, { ...manifest, variants }, options), {
    name: 'ModelError',
    message: /model\.json: variants: expected one for cpu, got none$/
  })
})

t.test('cuda without its provider is refused in one line', noProvider, async (t) => {
  await t.rejects(OnnxDenoiser.load(toys.product, { device: 'cuda', deviceId: 0, threads: 1 }), {
    name: 'DeviceError',
    message: /^cuda cannot be used: the CUDA provider is not installed [^\n]+$/
  })
})

t.test('top_p alone filters', async (t) => {
  const given = toPass(golden['toy-mixture'].passes[0]!, true)
  const pass = { ...given, temperature: given.temperature.fill(1), topK: given.topK.fill(0) }
  const likeliest = ({ alternativeTokens }: { alternativeTokens: Int32Array }) =>
    Array.from(pass.rows, (_, r) => alternativeTokens[(r * alternativeTokens.length) / pass.rows.length])
  const all = await denoisers['toy-mixture'].run({ ...pass, topP: pass.topP.fill(1) })
  t.notSame([...all.tokens], likeliest(all))
  const few = await denoisers['toy-mixture'].run({ ...pass, topP: pass.topP.fill(0.01) })
  t.same([...few.tokens], likeliest(all))
})

t.test('passes share one session', async (t) => {
  const sessions = t.capture(InferenceSession, 'create', InferenceSession.create)
  const denoiser = await OnnxDenoiser.load(toys.mixture, options)
  for (const given of golden['toy-mixture'].passes.slice(0, 3)) await denoiser.run(toPass(given, false))
  await denoiser.close()
  t.equal(sessions().length, 1)
})
