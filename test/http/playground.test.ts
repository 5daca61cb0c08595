import t from 'tap'
import { build } from '../helper.js'

t.test('the page and its files come under a strict policy', async (t) => {
  const { app } = await build(t)
  const page = await app.inject('/')
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.match(page.headers['content-security-policy'], /^default-src 'none'; script-src 'self';/)
  t.notMatch(page.headers['content-security-policy'], /unsafe/)
  const files = [...page.body.matchAll(/(?:src|href)="([^":/]+)"/g)].map(([, name]) => name)
  t.ok(files.length >= 2)
  for (const file of files) t.equal((await app.inject(`/${file}`)).statusCode, 200, file!)
  t.notMatch(page.body, /<script(?![^>]*src=)|\sstyle="|\son\w+="/, 'nothing inline')
})

t.test('nothing else is served from the disk', async (t) => {
  const { app } = await build(t)
  for (const path of ['/package.json', '/../package.json', '/%2e%2e/package.json', '/playground.md']) {
    t.equal((await app.inject(path)).statusCode, 404)
  }
})
