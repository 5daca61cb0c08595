import { readdirSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { build } from '../helper.js'

t.test('the page and its files come under a strict policy', async (t) => {
  const { app } = await build(t)
  const page = await app.inject('/')
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.match(page.headers['content-security-policy'], /^default-src 'none';script-src 'self';/)
  t.notMatch(page.headers['content-security-policy'], /unsafe/)
  const files = [...page.body.matchAll(/(?:src|href)="([^":/]+)"/g)].map(([, name]) => name)
  t.ok(files.length >= 2)
  for (const file of files) t.equal((await app.inject(`/${file}`)).statusCode, 200, file!)
  t.notMatch(page.body, /<script(?![^>]*src=)|\sstyle="|\son\w+="/, 'nothing inline')
})

t.test('the client and the typefaces are files of this server, too', async (t) => {
  const { app } = await build(t)
  t.match((await app.inject('/client/client.js')).headers['content-type'], /javascript/)
  t.equal((await app.inject('/client/client.d.ts')).statusCode, 404)
  const { body } = await app.inject('/playground.css')
  const typefaces = [...body.matchAll(/url\("(typefaces\/[^"]+)"\)/g)].map(([, path]) => path)
  t.equal(typefaces.length, 2)
  for (const path of typefaces) t.equal((await app.inject(`/${path}`)).headers['content-type'], 'font/woff2')
})

t.test('a part that a file has not, or another file than was meant, is refused by name', async (t) => {
  const { app } = await build(t)
  for (const [headers, status, code] of [
    [{ range: 'bytes=9999999-' }, 416, 'range_not_satisfiable'],
    [{ 'if-match': '"another"' }, 412, 'precondition_failed']
  ] as const) {
    const answer = await app.inject({ url: '/playground.css', headers })
    t.equal(answer.statusCode, status)
    t.equal(answer.json().error.code, code)
  }
})

t.test('page, code and typefaces are under 100 kB compressed', async (t) => {
  const { app } = await build(t)
  const paths = [
    ...readdirSync('playground'),
    ...readdirSync('dist/client')
      .filter((name) => name.endsWith('.js'))
      .map((name) => `client/${name}`)
  ]
  const { body } = await app.inject('/playground.css')
  for (const [, path] of body.matchAll(/url\("(typefaces\/[^"]+)"\)/g)) paths.push(path!)
  let bytes = 0
  for (const path of new Set(paths)) {
    const { rawPayload } = await app.inject(`/${path}`)
    bytes += path.endsWith('.woff2') ? rawPayload.length : gzipSync(rawPayload).length
  }
  t.comment(`${bytes} bytes`)
  t.ok(bytes < 100_000, `${bytes} bytes`)
})

t.test('nothing else is served from the disk', async (t) => {
  const { app } = await build(t)
  for (const path of ['/package.json', '/../package.json', '/%2e%2e/package.json', '/playground.md']) {
    t.equal((await app.inject(path)).statusCode, 404)
  }
})
