/** What every result says of where it was taken, and where results go. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'

const README = 'bench/README.md'

export const minMedianMax = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  return { min: sorted[0], median: sorted[Math.floor(sorted.length / 2)], max: sorted.at(-1) }
}

/** @param {number[]} values @param {number} share in [0, 1] */
export const quantile = (values, share) => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/**
 * Writes bench/results/<name>.json and the section <name> of bench/README.md.
 * @param {string} name the bench file's name
 * @param {string} question what it answers
 * @param {{ what: string, figure: string, goal?: string }[]} rows
 * @param {object} details raw figures
 */
export function report(name, question, rows, details) {
  const result = {
    name,
    question,
    command: `npm run bench ${name}`,
    date: new Date().toISOString().slice(0, 10),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
    machine: `${cpus().length} cores ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
    rows,
    details
  }
  mkdirSync('bench/results', { recursive: true })
  writeFileSync(`bench/results/${name}.json`, `${JSON.stringify(result, null, 2)}\n`)
  const table = rows.map(({ what, figure, goal }) => `| ${what} | ${figure} | ${goal ?? ''} |`).join('\n')
  const section = [
    `<!-- ${name} -->`,
    `## ${name}`,
    '',
    question,
    '',
    '| what | measured | goal |',
    '|---|---|---|',
    table,
    '',
    `\`${result.command}\`, ${result.date}, commit ${result.commit}, ${result.machine}.`,
    `<!-- /${name} -->`
  ].join('\n')
  const readme = readFileSync(README, 'utf8')
  const old = new RegExp(`<!-- ${name} -->[\\s\\S]*<!-- /${name} -->`)
  writeFileSync(
    README,
    old.test(readme) ? readme.replace(old, () => section) : `${readme.trimEnd()}\n\n${section}\n`
  )
  console.log(`\n${question}\n`)
  for (const { what, figure, goal } of rows)
    console.log(`  ${what}: ${figure}${goal ? `   (goal: ${goal})` : ''}`)
}
