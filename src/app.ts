import { type FastifyInstance, type FastifyServerOptions, fastify, LogController } from 'fastify'
import type { Certificate } from './credentials.js'
import { RequestError } from './errors.js'
import { limitAddressConnections } from './http/address-connections.js'
import { followAnswers } from './http/answers-under-way.js'
import { batchApi } from './http/batch-api.js'
import { completionRoutes } from './http/completions.js'
import { answerError } from './http/error-answer.js'
import { buildGate, type GateOptions } from './http/gate.js'
import { healthRoutes } from './http/health.js'
import type { HttpOptions } from './http/http-options.js'
import { infillRoutes } from './http/infill.js'
import { parseJson } from './http/json-text.js'
import { answerMalformedRequest } from './http/malformed-request.js'
import { metricRoutes } from './http/metrics.js'
import { modelRoutes } from './http/models.js'
import { describeApi } from './http/open-api.js'
import { generateRoutes } from './http/open-inference/generate.js'
import { openInferenceHealthRoutes } from './http/open-inference/health.js'
import { inferRoutes } from './http/open-inference/infer.js'
import { metadataRoutes } from './http/open-inference/metadata.js'
import { playgroundRoutes } from './http/playground.js'
import { requestId } from './http/request-id.js'
import { logRequests } from './http/request-log.js'
import { RequestTraces } from './http/request-traces.js'
import { RouteTable } from './http/route-table.js'
import { addSecurityHeaders } from './http/security-headers.js'
import { cutStalledReaders } from './http/stalled-readers.js'
import { streamRoutes } from './http/stream.js'
import { tokenizeRoutes } from './http/tokenize.js'
import { validatorOptions } from './http/validator.js'
import { acceptWebSockets } from './http/web-sockets.js'
import type { Tracing } from './tracing.js'

export interface AppOptions extends Omit<HttpOptions, 'gate' | 'traces'> {
  readonly security: GateOptions
  /** Follows requests; nothing is traced without. */
  readonly tracing?: Tracing | undefined
  /** Proxies whose word on a client's address is taken. */
  readonly trustProxy?: readonly string[]
  /** Speaks HTTPS with it. */
  readonly certificate?: Certificate | undefined
  /** Where requests are logged; nowhere unless given. */
  readonly logger?: FastifyServerOptions['logger']
}

/** A client has this long to send its whole request. */
const REQUEST_TIMEOUT_MS = 60_000
/** And this long for its part of a TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** The HTTP server around an engine. It listens to nothing yet. */
export async function buildApp({
  logger = false,
  security,
  trustProxy = [],
  certificate,
  tracing,
  ...rest
}: AppOptions): Promise<FastifyInstance> {
  const { limits, engine, metrics } = rest
  const app: FastifyInstance = fastify({
    logger,
    https: certificate ? { ...certificate, handshakeTimeout: HANDSHAKE_TIMEOUT_MS } : null,
    trustProxy: trustProxy.length > 0 && [...trustProxy],
    logController: new LogController({ disableRequestLogging: true }), // logRequests writes one line each
    genReqId: requestId,
    bodyLimit: limits.bodyLimit,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 1024 },
    return503OnClosing: false, // the engine refuses what comes too late, in the shape of every refusal
    ajv: { customOptions: validatorOptions },
    frameworkErrors: answerError,
    clientErrorHandler: answerMalformedRequest
  })
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer)) // schemas of answers describe them only
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    async (_request: unknown, body: string) => parseJson(body, 'body')
  )
  await addSecurityHeaders(app, { allowOrigin: security.allowOrigin, tls: certificate !== undefined })
  const gate = await buildGate(app, security, engine)
  const options: HttpOptions = { ...rest, gate, traces: new RequestTraces(tracing) }
  const routes = new RouteTable(app)
  app.decorate('metrics', metrics)
  logRequests(app, metrics, gate.access)
  app.addHook('onRequest', async (request) => gate.checkHost(request))
  app.setErrorHandler(answerError)
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const error = routes.refusal(request.method, path)
    if (error.code === 'method_not_allowed') reply.header('allow', routes.methodsOf(path).join(', '))
    return answerError(error, request, reply)
  })
  metrics.watch(engine)
  await acceptWebSockets(app, limits.bodyLimit)
  await describeApi(app)
  await app.register(apiRoutes, options)
  await app.register(healthRoutes, options)
  await app.register(openInferenceHealthRoutes, options)
  await app.register(metricRoutes, options)
  await app.register(playgroundRoutes)
  app.server.maxConnections = limits.maxConnections
  app.server.on('drop', () => metrics.countCut('full'))
  const most = limits.maxAddressConnections ?? Math.ceil(limits.maxConnections / 4)
  limitAddressConnections(app.server, { most, trustProxy }, () => metrics.countCut('address'))
  followAnswers(app)
  cutStalledReaders(app.server, limits.readerTimeoutMs, () => metrics.countCut('stalled'))
  await app.ready()
  return app
}

/** Everything that needs a model. */
async function apiRoutes(app: FastifyInstance, options: HttpOptions): Promise<void> {
  app.addHook('onRequest', async (request, reply) => {
    if (!request.ws) options.traces.follow(request, reply)
    await options.gate.enter(request)
    if (!request.ws) reply.raw.once('close', options.gate.work.take(request))
    if (options.phase() === 'loading') {
      throw new RequestError('loading', 'The models are still loading; try again in a moment.')
    }
  })
  if (options.logPrompts) {
    app.addHook('preHandler', async ({ body, log }) => {
      if (body !== undefined) log.info({ asked: body }, 'asked')
    })
  }
  await app.register(completionRoutes, options)
  await app.register(infillRoutes, options)
  await app.register(streamRoutes, options)
  await app.register(modelRoutes, options)
  await app.register(tokenizeRoutes, options)
  await app.register(metadataRoutes, options)
  await app.register(inferRoutes, options)
  await app.register(generateRoutes, options)
  await app.register(batchApi, options)
}
