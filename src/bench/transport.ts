/** The ways to ask for a completion. None tries anything twice. */
import type { CompletionRequest, Timings } from '../schemas.js'
import { httpTransport } from './http-transport.js'
import type { TransportName } from './plan.js'
import type { ServerKind } from './served.js'
import { webSocketTransport } from './websocket-transport.js'

/** A text that came. Times are milliseconds on the clock of `performance.now()`; null is what this server does not tell this way. */
export interface Written {
  readonly text: string
  readonly tokens: number | null
  readonly steps: number | null
  readonly timings: Timings | null
  readonly firstStep: number | null
  /** When the first text came that will not change. */
  readonly firstText: number
}

export interface Reading {
  readonly signal: AbortSignal
  /** Reads late: waits before it reads on. */
  readonly slow: boolean
}

export interface Transport {
  /** @throws {Refusal | DisconnectedError} */
  write(request: CompletionRequest, reading: Reading): Promise<Written>
  close(): Promise<unknown>
}

/** How long a slow reader waits before it reads on. */
export const SLOW_READER_MS = 250

export function transportTo(
  name: TransportName,
  { url, key, kind }: { url: string; key: string | null; kind: ServerKind }
): Transport {
  if (name === 'websocket') return webSocketTransport(url, key)
  return httpTransport(url, { key, kind, streams: name === 'sse' })
}
