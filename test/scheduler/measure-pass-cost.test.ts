import t from 'tap'
import type { Pass } from '../../src/denoiser/denoiser.js'
import type { Manifest } from '../../src/denoiser/manifest.js'
import { measurePassCost } from '../../src/scheduler/measure-pass-cost.js'
import type { PassTerms } from '../../src/scheduler/pass-cost.js'
import { TableDenoiser } from '../table-denoiser.js'

/** A denoiser whose passes take what the terms say, or so it tells. */
class TimedDenoiser extends TableDenoiser {
  readonly #terms: PassTerms

  constructor(terms: PassTerms, changes: Partial<Manifest> = {}) {
    super(changes)
    this.#terms = terms
  }

  override async run(pass: Pass) {
    const { fixedMs, msPerToken, msPerRow } = this.#terms
    const passMs = fixedMs + msPerToken * pass.tokens.length + msPerRow * pass.rows.length
    return { ...(await super.run(pass)), passMs }
  }
}

t.test('a few passes show what a pass, a token and a row cost', async (t) => {
  const given = { fixedMs: 3, msPerToken: 0.25, msPerRow: 0.5 }
  const cost = await measurePassCost(new TimedDenoiser(given), 4096)
  t.ok(Math.abs(cost.terms.fixedMs - 3) < 1e-9)
  t.ok(Math.abs(cost.terms.msPerToken - 0.25) < 1e-9)
  t.ok(Math.abs(cost.terms.msPerRow - 0.5) < 1e-9)
})

t.test('passes grow until one takes long or holds all it may, and no longer', async (t) => {
  const largest = async (msPerToken: number, maxTokens: number) => {
    const denoiser = new TimedDenoiser({ fixedMs: 0, msPerToken, msPerRow: 0 })
    await measurePassCost(denoiser, maxTokens)
    return Math.max(...denoiser.passes.map(({ tokens }) => tokens.length))
  }
  t.equal(await largest(1e-3, 2048), 2048)
  t.equal(await largest(1e-3, 1), 64) // a window of the model's always fits
  t.equal(await largest(0.1, 1e6), 512)
})

t.test('no term is negative, however the clock ran', async (t) => {
  const cost = await measurePassCost(new TimedDenoiser({ fixedMs: 9, msPerToken: -0.1, msPerRow: -0.1 }), 64)
  t.ok(Object.values(cost.terms).every((term) => term >= 0))
  t.ok(Number.isFinite(cost.tokensFor(0.98)))
})

t.test('a context no longer than the shortest pass gives numbers all the same', async (t) => {
  const denoiser = new TimedDenoiser({ fixedMs: 3, msPerToken: 0.25, msPerRow: 0.5 }, { context_length: 16 })
  const { terms } = await measurePassCost(denoiser, 16)
  t.ok(Object.values(terms).every(Number.isFinite))
})
