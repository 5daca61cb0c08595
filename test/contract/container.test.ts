/** What `docker build` itself would find, where there is no Docker. */
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'

const linesOf = (file: string) => readFileSync(file, 'utf8').split('\n').filter(Boolean)
const dockerfile = linesOf('Dockerfile')
const copies = (lines: string[]) => lines.filter((line) => line.startsWith('COPY '))

t.test('the image is made of what .dockerignore lets through, and of all of it', async (t) => {
  const fromHere = copies(dockerfile).filter((line) => !line.includes('--from='))
  const sources = new Set(fromHere.flatMap((line) => line.split(' ').slice(1, -1)))
  const [nothing, ...exceptions] = linesOf('.dockerignore').filter((line) => !line.startsWith('#'))
  t.equal(nothing, '*')
  t.same(new Set(exceptions), new Set([...sources].map((source) => `!${source}`)))
  for (const source of sources) t.ok(existsSync(source), source)
})

t.test('the image has all that the package has, but for the description of the API', async (t) => {
  const image = dockerfile.slice(dockerfile.findLastIndex((line) => line.startsWith('FROM ')))
  const copied = copies(image).map((line) => line.split(' ').at(-1))
  const { files } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const file of files) t.ok(copied.includes(file) || file === 'openapi.yaml', file)
})
