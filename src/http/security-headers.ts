/** What browsers are told: which pages of others may read answers, and what this server's own pages may do. */
import fastifyCors from '@fastify/cors'
import fastifyHelmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

/** The pages need their own files and this server, nothing else. */
const ownFilesOnly = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  connectSrc: ["'self'"],
  fontSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"]
}

/** Headers that a page of an allowed origin may read. */
const readable = ['x-request-id', 'retry-after', 'retry-after-ms']

/** Call before any route is added. */
export async function addSecurityHeaders(
  app: FastifyInstance,
  { allowOrigin, tls }: { readonly allowOrigin: readonly string[]; readonly tls: boolean }
): Promise<void> {
  await app.register(fastifyHelmet, {
    contentSecurityPolicy: { useDefaults: false, directives: ownFilesOnly },
    // Only who ends TLS here knows that the whole host is to be had over it.
    strictTransportSecurity: tls ? { maxAge: 31_536_000, includeSubDomains: false } : false
  })
  if (allowOrigin.length === 0) return
  await app.register(fastifyCors, {
    origin: [...allowOrigin],
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    exposedHeaders: readable
  })
}
