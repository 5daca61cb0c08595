/** The page at `/`: its files, the client it is built on, and its typefaces. Each is a route of its own: any other path stays unknown. */
import { createRequire } from 'node:module'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyPluginAsync } from 'fastify'

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const { resolve } = createRequire(import.meta.url)

const typefaces = [
  '@fontsource/newsreader/files/newsreader-latin-400-normal.woff2',
  '@fontsource-variable/instrument-sans/files/instrument-sans-latin-wght-normal.woff2'
]

export const playgroundRoutes: FastifyPluginAsync = async (app) => {
  await app.register(fastifyStatic, { root: folder('../../playground'), wildcard: false })
  await app.register(fastifyStatic, {
    root: folder('../../dist/client'),
    prefix: '/client/',
    wildcard: false,
    globIgnore: ['**/*.d.ts'],
    decorateReply: false
  })
  for (const typeface of typefaces) {
    const path = resolve(typeface)
    app.get(`/typefaces/${basename(path)}`, { schema: { hide: true } }, (_request, reply) =>
      reply.sendFile(basename(path), dirname(path), { maxAge: '1y' })
    )
  }
}
