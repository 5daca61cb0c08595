import type { BatchQueue } from '../batches/batch-queue.js'
import type { Engine } from '../engine.js'
import type { Metrics } from '../metrics.js'
import type { Phase, ServedDenoiser } from '../server-state.js'
import type { Gate } from './gate.js'
import type { RequestTraces } from './request-traces.js'

export interface HttpLimits {
  /** Largest body and largest WebSocket message, in bytes. */
  readonly bodyLimit: number
  /** Texts in work on one WebSocket from which on a further request is refused. */
  readonly maxSocketSequences: number
  /** Connections that may be open; a further one is closed at once. */
  readonly maxConnections: number
  /** The same of one address; null is a quarter of them. */
  readonly maxAddressConnections: number | null
  /** A client that takes nothing of what waits for it for so long is cut off. */
  readonly readerTimeoutMs: number
  /** Largest file of an offline batch, in bytes and in lines. */
  readonly maxFileBytes: number
  /** Of all files together. */
  readonly maxDataBytes: number
  readonly maxBatchLines: number
  /** Between two signs of life on a stream. */
  readonly heartbeatMs: number
}

/** What the routes are given; each takes what it needs. */
export interface HttpOptions {
  readonly engine: Engine<ServedDenoiser>
  /** Other names of served models, for the list of models. */
  readonly aliases: ReadonlyMap<string, string>
  readonly limits: HttpLimits
  readonly metrics: Metrics
  readonly gate: Gate
  readonly traces: RequestTraces
  /** Undefined where offline batches are off. */
  readonly batches?: BatchQueue | undefined
  readonly logPrompts: boolean
  /** Asked whenever it matters: it changes while the server runs. */
  readonly phase: () => Phase
}
