import t from 'tap'
import { plainReason } from '../../src/denoiser/plain-reason.js'

t.test('stamps, source lines and status codes go, the reason stays', async (t) => {
  const reason =
    'Failed to load library /x/liby.so with error: libcublasLt.so.13: cannot open shared object file'
  const where = '/onnxruntime_src/a.cc:1988 onnxruntime::Provider& Get() [ONNXRuntimeError] : 1 : FAIL :'
  t.equal(
    plainReason(`2026-01-01 00:00:00.1 [E:onnxruntime:node, b.cc:2146 Create] ${where} ${reason}\n`),
    reason
  )
  t.equal(plainReason(`OrtSessionOptionsAppendExecutionProvider_Cuda: Failed: ${where} ${reason}`), reason)
  t.equal(plainReason('2026-01-01 00:00:00.1 [E:onnxruntime:, c.cc:671 Run] No kernel'), 'No kernel')
  t.equal(
    plainReason('Load model from x failed:\n  Protobuf parsing failed.'),
    'Load model from x failed: Protobuf parsing failed.'
  )
})
