import { PassCost } from '../../src/scheduler/pass-cost.js'

/** Passes that cost the same however large they are: a batch is as large as the budget allows. */
export const flatCost = () => new PassCost({ fixedMs: 1, msPerToken: 1e-9, msPerRow: 0 })
