import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Test } from 'tap'

/** A span as OTLP/HTTP brings it. */
export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly status: { readonly code: number }
  readonly ms: number
  readonly attributes: Readonly<Record<string, unknown>>
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

// biome-ignore lint/suspicious/noExplicitAny: what a collector is sent
type Body = any

const record = (attributes: readonly Attribute[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** A collector of traces, on a free port, which the standard variable names until the test is over. */
export async function receiveSpans(t: Test) {
  const spans: ReceivedSpan[] = []
  const resources: Record<string, unknown>[] = []
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as Body
    t.equal(request.url, '/v1/traces')
    for (const { resource, scopeSpans } of body.resourceSpans) {
      resources.push(record(resource.attributes))
      for (const span of scopeSpans.flatMap(({ spans }: Body) => spans)) {
        const ms = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6
        spans.push({ ...span, ms, attributes: record(span.attributes) })
      }
    }
    response.setHeader('content-type', 'application/json').end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.teardown(() => {
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT
    server.closeAllConnections()
    server.close()
  })
  return { spans, resources }
}
