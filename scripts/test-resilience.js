/**
 * Tries to make the server fall over, and writes what was tried and what was lost into docs/reliability.md (npm run test:resilience).
 * With --soak a server is watched for 30 minutes under load, and nothing else is done. As root on Debian it installs what some
 * trials need (a network to spoil, a clock to turn); elsewhere those are left out, and the table says so.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = 'test/resilience'
const page = 'docs/reliability.md'
const soak = process.argv.includes('--soak')
const tools = { tc: 'iproute2', iptables: 'iptables', faketime: 'faketime', prlimit: 'util-linux' }

const run = (command, args, options) => spawnSync(command, args, { stdio: 'inherit', ...options }).status
const missing = Object.keys(tools).filter((tool) => spawnSync(tool, ['-h']).error)

if (missing.length > 0 && process.getuid?.() === 0 && !spawnSync('apt-get', ['-v']).error) {
  const packages = missing.map((tool) => tools[tool])
  console.log(`installs ${packages.join(', ')}`)
  run('apt-get', ['update', '-qq'])
  run('apt-get', ['install', '-qq', '--no-install-recommends', ...packages])
}

const rowsFolder = mkdtempSync(join(tmpdir(), 'fewstep-'))
const rowsFile = join(rowsFolder, 'rows')
writeFileSync(rowsFile, '')
const files = readdirSync(folder).filter((name) =>
  name.endsWith(soak ? 'soak.resilience.ts' : '.resilience.ts')
)
const begun = Date.now()
const failed = []
for (const [i, name] of files.entries()) {
  console.log(`${i + 1} of ${files.length}: ${name}, after ${Math.round((Date.now() - begun) / 1000)} s`)
  const env = { ...process.env, RELIABILITY_ROWS: rowsFile, SOAK_MINUTES: soak ? '30' : '2' }
  const code = run('npx', ['tap', 'run', '--jobs=1', '--timeout=3000', join(folder, name)], { env }) ?? 1
  if (code !== 0) failed.push(name)
}
const written = readFileSync(rowsFile, 'utf8').split('\n').filter(Boolean).map(JSON.parse)
rmSync(rowsFolder, { recursive: true })

const rows = written.filter(({ times }) => times !== undefined)
const brokenOff = written.filter(({ tried }) => !rows.some((row) => row.tried === tried))
if (brokenOff.length > 0 || rows.length * 2 !== written.length) {
  console.error(`no row of: ${brokenOff.map(({ tried }) => tried).join('; ')}. ${page} stays as it was.`)
  process.exit(1)
}

const grouped = new Intl.NumberFormat('en-US')
const cells = rows.map(({ tried, holds, times, lost, seconds, note }) =>
  times > 0
    ? `| ${tried} | ${holds} | ${grouped.format(times)} | ${grouped.format(lost)} | ${seconds} | ${note} |`
    : `| ${tried} | | 0 | | | ${note} |`
)
const minutes = Math.round((Date.now() - begun) / 60_000)
const date = new Date().toISOString().slice(0, 10)
const part = soak ? 'soak' : 'trials'
const [before, rest] = readFileSync(page, 'utf8').split(new RegExp(`(?<=<!-- ${part}: .*-->\n)`))
const after = rest.slice(rest.indexOf(`<!-- /${part} -->`))
const table = `
${date}, ${cpus().length} cores (${cpus()[0].model.trim()}), Node.js ${process.version}: ${rows.length === 1 ? 'one trial' : `${rows.length} trials`} in ${minutes} minutes.

| tried | must hold | times | lost | seconds | measured |
|---|---|---|---|---|---|
${cells.join('\n')}
`
writeFileSync(page, `${before}${table.trimStart()}${after}`)
const lost = rows.reduce((sum, row) => sum + row.lost, 0)
console.log(`${rows.length} trials in ${minutes} minutes, ${lost} lost; ${page} has the table`)
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`)
  process.exitCode = 1
}
