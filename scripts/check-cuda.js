/**
 * npm run check-cuda [folder …]: opens models (the bundled ones unless given) on CUDA, where a node that would fall back to the CPU is
 * an error, and runs a pass. Skips where ONNX Runtime has no CUDA provider. Writes nothing.
 */

import { missingCudaProvider } from '../dist/denoiser/cuda-provider.js'
import { loadManifest } from '../dist/denoiser/manifest.js'
import { OnnxDenoiser } from '../dist/denoiser/onnx-denoiser.js'
import { modelFolders } from '../dist/served-models.js'

const missing = missingCudaProvider()
if (missing) {
  console.log(`skipped: ${missing}`)
  process.exit()
}
for (const folder of modelFolders(process.argv.slice(2))) {
  const { name } = await loadManifest(folder)
  try {
    const denoiser = await OnnxDenoiser.load(folder, { device: 'cuda', deviceId: 0, threads: 1 })
    await denoiser.close()
    console.log(`${name}: every node runs on CUDA`)
  } catch (error) {
    console.error(`${name}: ${error.message}`)
    process.exitCode = 1
  }
}
