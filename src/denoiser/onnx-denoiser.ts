/** The denoiser through ONNX Runtime. `run` blocks its thread: in a server only the denoiser's own process uses this. */
import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { missingCudaProvider } from './cuda-provider.js'
import type { Denoiser, Device, Pass, Revealed } from './denoiser.js'
import { checkSignature } from './graph-signature.js'
import type { Manifest } from './manifest.js'
import { DeviceError, ModelError } from './model-error.js'
import { plainReason } from './plain-reason.js'
import { chooseVariant } from './variant.js'
import { warmUpPass } from './warm-up-pass.js'

export interface OnnxOptions {
  readonly device: Device
  /** Which GPU. */
  readonly deviceId: number
  /** Threads of a pass on the CPU. */
  readonly threads: number
}

type Runtime = typeof import('onnxruntime-node')

export class OnnxDenoiser implements Denoiser {
  readonly manifest: Manifest
  readonly device: Device
  readonly parallel = 1
  readonly #runtime: Runtime
  readonly #session: InferenceSession

  private constructor(manifest: Manifest, device: Device, runtime: Runtime, session: InferenceSession) {
    this.manifest = manifest
    this.device = device
    this.#runtime = runtime
    this.#session = session
  }

  /**
   * Checks a model folder and opens it.
   * @throws {ModelError | DeviceError} one line
   */
  static async load(folder: string, options: OnnxOptions): Promise<OnnxDenoiser> {
    // Imported here, because a process that is handed a manifest starts faster without what it takes to check one.
    const { loadManifest } = await import('./manifest.js')
    return OnnxDenoiser.open(folder, await loadManifest(folder), options)
  }

  /**
   * Opens a model whose folder is known to be in order, and runs a pass to warm up.
   * @throws {ModelError} one line that names the file
   * @throws {DeviceError} one line that says why the device cannot be had
   */
  static async open(folder: string, manifest: Manifest, options: OnnxOptions): Promise<OnnxDenoiser> {
    const { device } = options
    const variant = chooseVariant(manifest, device)
    if (!variant) {
      throw new ModelError(`${join(folder, 'model.json')}: variants: expected one for ${device}, got none`)
    }
    const missing = device === 'cuda' ? missingCudaProvider() : undefined
    if (missing) throw new DeviceError(`cuda cannot be used: ${missing}`)
    const path = join(folder, variant.graph)
    const runtime = await importRuntime()
    const session = await createSession(runtime, path, options)
    checkSignature(session, path, manifest.kind)
    const denoiser = new OnnxDenoiser(manifest, device, runtime, session)
    await denoiser.run({ ...warmUpPass(manifest), alternatives: true }).catch((error) => {
      throw loadError(path, device, error)
    })
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

  #feeds(pass: Pass): InferenceSession.FeedsType {
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

/** ONNX Runtime 1.29 sends telemetry home unless told otherwise before its first session; it has had two names for that. */
async function importRuntime(): Promise<Runtime> {
  process.env.ORT_DISABLE_TELEMETRY = '1'
  process.env.ORT_TELEMETRY_DISABLED = '1'
  return import('onnxruntime-node')
}

/** From a path, not a buffer: ONNX Runtime then maps the weights' file instead of copying it. */
async function createSession(
  { InferenceSession }: Runtime,
  path: string,
  { device, deviceId, threads }: OnnxOptions
): Promise<InferenceSession> {
  const options: Record<Device, InferenceSession.SessionOptions> = {
    cpu: {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      extra: { session: { force_spinning_stop: '1' } } // threads that wait for the next pass do not spin
    },
    // A node that fell back to the CPU would cost a copy there and back in every pass: better to refuse.
    cuda: {
      executionProviders: [{ name: 'cuda', deviceId }],
      extra: { session: { disable_cpu_ep_fallback: '1' } }
    }
  }
  // Lengths vary from pass to pass, so a memory pattern would not fit the next one.
  const common = { graphOptimizationLevel: 'all', enableMemPattern: false, logSeverityLevel: 3 } as const
  try {
    return await InferenceSession.create(path, { ...common, ...options[device] })
  } catch (error) {
    throw loadError(path, device, error)
  }
}

function loadError(path: string, device: Device, error: unknown): Error {
  const reason = plainReason((error as Error).message)
  if (device === 'cuda') return new DeviceError(`cuda cannot be used: ${reason}`)
  return new ModelError(`${path}: ONNX Runtime cannot use it: ${reason}`)
}
