import { randomInt } from 'node:crypto'
import t from 'tap'

/** What all chance of a trial is drawn from: another one each time, or RESILIENCE_SEED, to see the same again. */
export const SEED = Number(process.env.RESILIENCE_SEED ?? randomInt(2 ** 31))

t.comment(`RESILIENCE_SEED=${SEED}`)
