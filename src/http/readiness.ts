import type { Readiness } from '../answers.js'
import type { HttpOptions } from './http-options.js'

/** Whether requests are taken, and if not, whether they will be. */
export function readiness({ engine, phase }: Pick<HttpOptions, 'engine' | 'phase'>): Readiness['status'] {
  const current = phase()
  if (current !== 'ready') return current
  if (engine.models.some(({ denoiser }) => denoiser.outage)) return 'unavailable'
  return engine.models.every(({ denoiser }) => denoiser.ready) ? 'ready' : 'loading'
}
