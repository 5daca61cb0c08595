import t from 'tap'
import { withoutPaths } from '../../src/denoiser/without-paths.js'

t.test('files of the model are named within its folder, others by their last name', async (t) => {
  for (const [reason, told] of [
    ['/srv/my models/a/denoiser.onnx: expected 3 bytes', 'denoiser.onnx: expected 3 bytes'],
    ['/srv/my models/a/parts/b.bin: expected 3 bytes', 'parts/b.bin: expected 3 bytes'],
    ["open '/srv/my models/a/model.json' failed", "open 'model.json' failed"],
    ['Failed to load library /usr/lib/libx.so with error', 'Failed to load library libx.so with error'],
    ['no answer within 3 ms', 'no answer within 3 ms'],
    ['see https://example.com/a/b and 1/2 of it', 'see https://example.com/a/b and 1/2 of it']
  ] as const)
    t.equal(withoutPaths(reason, '/srv/my models/a'), told)
  t.equal(withoutPaths('models/a/denoiser.onnx: gone', './models/a/'), 'denoiser.onnx: gone')
})
