/** npm run bench [name …]: runs every bench, or those named, one after the other, each in a process of its own. */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const shared = new Set(['run.js', 'server.js', 'report.js', 'full-size.js'])
const all = readdirSync('bench')
  .filter((file) => file.endsWith('.js') && !shared.has(file))
  .map((file) => file.slice(0, -'.js'.length))
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  console.error(`expected one of ${all.join(', ')}, got ${unknown.join(', ')}`)
  process.exit(1)
}
for (const name of wanted.length > 0 ? wanted : all)
  execFileSync(process.execPath, [`bench/${name}.js`], { stdio: 'inherit' })
