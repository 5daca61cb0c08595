/** Writes the table of settings into docs/operations.md (npm run settings). */
import { readFileSync, writeFileSync } from 'node:fs'
import { settingsTable } from '../dist/config.js'

const file = new URL('../docs/operations.md', import.meta.url)
const [before, rest] = readFileSync(file, 'utf8').split(/(?<=<!-- settings: .*-->\n)/)
const after = rest.slice(rest.indexOf('<!-- /settings -->'))
writeFileSync(file, `${before}${settingsTable()}\n${after}`)
