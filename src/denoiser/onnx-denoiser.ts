/** The denoiser through ONNX Runtime. `run` blocks its thread: only the denoiser's own process uses this. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Denoiser, Device, Pass, Revealed } from './denoiser.js'
import { loadManifest, type Manifest, variantFor } from './manifest.js'
import { DeviceError, ModelError } from './model-error.js'

export interface OnnxOptions {
  readonly device: Device
  /** Threads of a pass on the CPU. */
  readonly threads: number
}

type Runtime = typeof import('onnxruntime-node')
type Feeds = Readonly<Record<string, Tensor>>

export class OnnxDenoiser implements Denoiser {
  readonly manifest: Manifest
  readonly device: Device
  readonly #runtime: Runtime
  readonly #session: InferenceSession

  private constructor(manifest: Manifest, device: Device, runtime: Runtime, session: InferenceSession) {
    this.manifest = manifest
    this.device = device
    this.#runtime = runtime
    this.#session = session
  }

  /**
   * Loads the model and runs one pass to warm up.
   * @throws {ModelError} one line that names the file
   * @throws {DeviceError} one line that says why the device cannot be had
   */
  static async load(folder: string, { device, threads }: OnnxOptions): Promise<OnnxDenoiser> {
    const manifest = await loadManifest(folder)
    const variant = variantFor(manifest, device)
    if (!variant) throw new DeviceError(`${folder}: has no variant for ${device}`)
    if (device === 'cuda') requireCudaProvider()
    process.env.ORT_DISABLE_TELEMETRY = '1'
    process.env.ORT_TELEMETRY_DISABLED = '1'
    const runtime = await import('onnxruntime-node')
    const path = join(folder, variant.graph)
    const session = await createSession(runtime, path, device, threads)
    checkSignature(session, path, manifest)
    const denoiser = new OnnxDenoiser(manifest, device, runtime, session)
    await denoiser.run(warmUpPass(manifest))
    return denoiser
  }

  async run(pass: Pass): Promise<Revealed> {
    const start = performance.now()
    const results = await this.#session.run(this.#feeds(pass))
    const data = <T>(name: string) => results[name]!.data as T
    return {
      tokens: data<Int32Array>('revealed'),
      probabilities: data<Float32Array>('probability'),
      alternativeTokens: data<Int32Array>('alternative_tokens'),
      alternativeProbabilities: data<Float32Array>('alternative_probabilities'),
      passMs: performance.now() - start
    }
  }

  async close(): Promise<void> {
    await this.#session.release()
  }

  #feeds(pass: Pass): Feeds {
    const { Tensor } = this.#runtime
    const batch = pass.lengths.length
    const rows = [pass.rows.length]
    const filtered = pass.topP.some((share) => share < 1) || pass.topK.some((count) => count > 0)
    const feeds = {
      tokens: new Tensor('int32', pass.tokens, [batch, pass.length]),
      lengths: new Tensor('int32', pass.lengths, [batch]),
      rows: new Tensor('int32', pass.rows, rows),
      coins: new Tensor('float64', pass.coins, rows),
      temperature: new Tensor('float32', pass.temperature, rows),
      top_p: new Tensor('float32', pass.topP, rows),
      top_k: new Tensor('int32', pass.topK, rows),
      filtered: new Tensor('bool', [filtered], []),
      alternatives: new Tensor('bool', [pass.alternatives], [])
    }
    if (this.manifest.kind === 'product') return feeds
    return { ...feeds, lambda: new Tensor('float32', pass.lambda, [batch]) }
  }
}

async function createSession(
  runtime: Runtime,
  path: string,
  device: Device,
  threads: number
): Promise<InferenceSession> {
  const common = { graphOptimizationLevel: 'all', enableMemPattern: false, logSeverityLevel: 3 } as const
  try {
    if (device === 'cpu') {
      return await runtime.InferenceSession.create(path, {
        ...common,
        executionProviders: ['cpu'],
        intraOpNumThreads: threads,
        // Threads that wait do not spin between passes; int8 sums do not saturate.
        extra: { session: { force_spinning_stop: '1', x64quantprecision: '1' } }
      })
    }
    return await runtime.InferenceSession.create(path, {
      ...common,
      executionProviders: [{ name: 'cuda', deviceId: 0 }],
      extra: { session: { disable_cpu_ep_fallback: '1' } }
    })
  } catch (error) {
    const reason = (error as Error).message.replaceAll('\n', ' ')
    if (device === 'cuda') throw new DeviceError(`cuda cannot be used: ${reason}`)
    throw new ModelError(`${path}: ${reason}`)
  }
}

const inputTypes: Readonly<Record<string, string>> = {
  tokens: 'int32',
  lengths: 'int32',
  rows: 'int32',
  coins: 'float64',
  temperature: 'float32',
  top_p: 'float32',
  top_k: 'int32',
  filtered: 'bool',
  alternatives: 'bool'
}

const outputTypes: Readonly<Record<string, string>> = {
  revealed: 'int32',
  probability: 'float32',
  alternative_tokens: 'int32',
  alternative_probabilities: 'float32'
}

function checkSignature(session: InferenceSession, path: string, { kind }: Manifest): void {
  const inputs = kind === 'mixture' ? { ...inputTypes, lambda: 'float32' } : inputTypes
  check('input', inputs, session.inputMetadata)
  check('output', outputTypes, session.outputMetadata)

  function check(
    what: string,
    expected: Readonly<Record<string, string>>,
    metadata: InferenceSession['inputMetadata']
  ): void {
    const got = Object.fromEntries(
      metadata.map((value) => [value.name, value.isTensor ? value.type : 'no tensor'])
    )
    for (const name of new Set([...Object.keys(expected), ...Object.keys(got)])) {
      if (expected[name] === got[name]) continue
      throw new ModelError(
        `${path}: ${what} ${name}: expected ${expected[name] ?? 'no such one'}, got ${got[name] ?? 'none'}`
      )
    }
  }
}

/** On a GPU the provider is a library of its own, which an installation may not have. */
function requireCudaProvider(): void {
  const reason = missingCudaProvider()
  if (reason) throw new DeviceError(`cuda cannot be used: ${reason}`)
}

/** Why there is no CUDA provider, in one line; undefined when there is one. */
export function missingCudaProvider(): string | undefined {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  const library = join(
    root,
    'bin',
    'napi-v6',
    process.platform,
    process.arch,
    'libonnxruntime_providers_cuda.so'
  )
  if (existsSync(library)) return undefined
  return 'the CUDA provider of ONNX Runtime is not installed (ONNXRUNTIME_NODE_INSTALL=true npm rebuild onnxruntime-node; it needs CUDA 13)'
}

function warmUpPass({ bos_token, mask_token, context_length }: Manifest): Pass {
  const tokens = new Int32Array(context_length).fill(mask_token)
  tokens[0] = bos_token
  return {
    length: context_length,
    tokens,
    lengths: Int32Array.of(context_length),
    lambda: Float32Array.of(0.5),
    rows: Int32Array.of(1),
    coins: Float64Array.of(0.5),
    temperature: Float32Array.of(1),
    topP: Float32Array.of(1),
    topK: Int32Array.of(0),
    alternatives: false
  }
}
