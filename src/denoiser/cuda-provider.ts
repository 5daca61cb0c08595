import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const LIBRARY = 'libonnxruntime_providers_cuda.so'
/** What to do about it; ends every message about a GPU that cannot be used. */
export const CUDA_ADVICE =
  'the GPU needs CUDA 13 libraries and ONNXRUNTIME_NODE_INSTALL=true npm rebuild onnxruntime-node'

/** Why there is no CUDA provider to try; undefined when there is one. ONNX Runtime looks for it beside its binding. */
export function missingCudaProvider(): string | undefined {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  const library = join(root, 'bin', 'napi-v6', process.platform, process.arch, LIBRARY)
  return existsSync(library) ? undefined : `the CUDA provider is not installed (no ${LIBRARY})`
}
