/** Imported by every process of a server: while the file that FAILING names is there, passes end as those of a GPU without memory do. */
import { existsSync } from 'node:fs'

if (process.argv[1]?.endsWith('denoiser-process.js')) {
  const { InferenceSession } = await import('onnxruntime-node')
  const { run } = InferenceSession.prototype
  InferenceSession.prototype.run = function (...feeds) {
    if (!existsSync(process.env.FAILING)) return run.apply(this, feeds)
    throw new Error(
      'Non-zero status code returned while running MatMul node. Failed to allocate memory for requested buffer of size 4294967296'
    )
  }
}
