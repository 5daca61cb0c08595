/** Requests as OpenTelemetry spans. The SDK is loaded only where traces are asked for. */
import type { IncomingHttpHeaders } from 'node:http'
import type * as Api from '@opentelemetry/api'
import type { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import type { TextWatch } from './engine.js'
import { type ErrorCode, errorTable } from './errors.js'
import type { PassReport } from './scheduler/pass-report.js'
import type { Sequence } from './scheduler/sequence.js'
import { fewstepVersion } from './version.js'

/**
 * Sends spans to the collector that the standard variables name, OTEL_EXPORTER_OTLP_ENDPOINT first; undefined where they name none.
 * @param onFault told of settings that are not as they should be, and when spans cannot be sent
 */
export async function startTracing(onFault: (message: string) => void): Promise<Tracing | undefined> {
  if (!isWanted(process.env)) return undefined
  const [api, { W3CTraceContextPropagator }, { OTLPTraceExporter }, resources, sdk] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base')
  ])
  // The SDK writes an error as JSON with its stack.
  const say = (text: string) => onFault(`tracing: ${/"message":"([^"]*)"/.exec(text)?.[1] ?? text}`)
  const quiet = () => {}
  const logger = { error: say, warn: say, info: quiet, debug: quiet, verbose: quiet }
  api.diag.setLogger(logger, { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true })
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = resources
  const own = resourceFromAttributes({ 'service.name': 'fewstep', 'service.version': fewstepVersion })
  const provider = new sdk.BasicTracerProvider({
    resource: defaultResource()
      .merge(own)
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new sdk.BatchSpanProcessor(new OTLPTraceExporter())]
  })
  return new Tracing(api, provider, new W3CTraceContextPropagator())
}

function isWanted(env: NodeJS.ProcessEnv): boolean {
  const { OTEL_SDK_DISABLED = '', OTEL_TRACES_EXPORTER = '' } = env
  if (OTEL_SDK_DISABLED.toLowerCase() === 'true' || OTEL_TRACES_EXPORTER.toLowerCase() === 'none')
    return false
  return Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
}

export class Tracing {
  readonly #api: typeof Api
  readonly #provider: BasicTracerProvider
  readonly #tracer: Api.Tracer
  readonly #propagator: Api.TextMapPropagator

  constructor(api: typeof Api, provider: BasicTracerProvider, propagator: Api.TextMapPropagator) {
    this.#api = api
    this.#provider = provider
    this.#tracer = provider.getTracer('fewstep', fewstepVersion)
    this.#propagator = propagator
  }

  /** A request begins, as a part of the trace that its `traceparent` names, or as one of its own. */
  begin(name: string, headers: IncomingHttpHeaders, attributes: Api.Attributes): RequestTrace {
    const { ROOT_CONTEXT, SpanKind, defaultTextMapGetter, trace } = this.#api
    const outside = this.#propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter)
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, outside)
    return new RequestTrace(this.#tracer, span, trace.setSpan(outside, span))
  }

  /** Sends what has not been sent. @throws {Error} when it cannot be */
  async stop(): Promise<void> {
    await this.#provider.shutdown()
  }
}

/** The spans of one request: itself, and below it for each text its time in the queue and its passes. */
export class RequestTrace implements TextWatch {
  readonly #tracer: Api.Tracer
  readonly #span: Api.Span
  readonly #context: Api.Context

  constructor(tracer: Api.Tracer, span: Api.Span, context: Api.Context) {
    this.#tracer = tracer
    this.#span = span
    this.#context = context
  }

  onWaited({ createdAt, waitedMs }: Sequence, id: string): void {
    this.#child('queue', createdAt, createdAt + waitedMs, { 'fewstep.sequence': id })
  }

  onPass(pass: PassReport, _sequence: Sequence, id: string): void {
    this.#child('pass', pass.startedAt, pass.startedAt + pass.totalMs, {
      'fewstep.sequence': id,
      'fewstep.pass': pass.number, // the same in every trace that shares it
      'fewstep.pass.sequences': pass.sequences,
      'fewstep.pass.tokens': pass.tokens,
      'fewstep.pass.rows': pass.rows,
      'fewstep.pass.denoiser_ms': pass.passMs
    })
  }

  /**
   * @param status of the answer; on a WebSocket, what it would have been
   * @param errorCode of the error that was told, perhaps in a stream whose status was out
   */
  end(status: number, errorCode?: ErrorCode): void {
    this.#span.setAttribute('http.response.status_code', status)
    if (errorCode !== undefined) this.#span.setAttribute('error.type', errorCode)
    if (Math.max(status, errorCode ? errorTable[errorCode].status : 0) >= 500)
      this.#span.setStatus({ code: ERROR })
    this.#span.end()
  }

  /** Times are those of `performance.now()`. */
  #child(name: string, startTime: number, endTime: number, attributes: Api.Attributes): void {
    this.#tracer.startSpan(name, { startTime, attributes }, this.#context).end(endTime)
  }
}

/** `SpanStatusCode.ERROR`, without the module it comes from. */
const ERROR: Api.SpanStatusCode.ERROR = 2
