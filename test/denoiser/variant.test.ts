import t from 'tap'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { chooseVariant } from '../../src/denoiser/variant.js'
import { toys } from './toy.js'

t.test('a device gets the first variant made for it', async (t) => {
  const manifest = await loadManifest(toys.mixture)
  const [variant] = manifest.variants
  const both = [
    { ...variant!, precision: 'float16', devices: ['cuda' as const] },
    { ...variant!, devices: ['cpu' as const] }
  ]
  t.equal(chooseVariant({ ...manifest, variants: both }, 'cuda')?.precision, 'float16')
  t.equal(chooseVariant({ ...manifest, variants: both }, 'cpu')?.precision, 'float32')
  t.equal(chooseVariant({ ...manifest, variants: both.slice(1) }, 'cuda'), undefined)
})
