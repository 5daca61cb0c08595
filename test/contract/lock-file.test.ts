import { readFileSync } from 'node:fs'
import t from 'tap'

t.test('the lock file holds every package to a hash', async (t) => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'))
  const loose = Object.keys(packages).filter((path) => path && !packages[path].integrity)
  t.same(loose, [])
})
