import { readFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

/** The version of fewstep, as its package.json says. */
export const fewstepVersion: string = version
