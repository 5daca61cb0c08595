import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyPluginAsync } from 'fastify'

const root = fileURLToPath(new URL('../../playground', import.meta.url))

/** The page needs its own files and this server, nothing else. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** The playground's files at `/`, each a route of its own: any other path stays unknown. */
export const playgroundRoutes: FastifyPluginAsync = async (app) => {
  await app.register(fastifyStatic, {
    root,
    wildcard: false,
    setHeaders: (response) => {
      response.setHeader('content-security-policy', contentSecurityPolicy)
      response.setHeader('x-content-type-options', 'nosniff')
      response.setHeader('referrer-policy', 'no-referrer')
    }
  })
}
