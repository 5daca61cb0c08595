import {
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  type StreamConfig
} from '@nats-io/jetstream'
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection
} from '@nats-io/transport-node'
import { ConfigError } from '../setting.js'
import type { NatsUrl } from './nats-url.js'

export interface NatsOptions {
  /** Members of one cluster. */
  readonly servers: readonly NatsUrl[]
  /** The content of a .creds file. */
  readonly credentials?: Uint8Array | undefined
  /** Members that keep each message. */
  readonly replicas: number
}

/** A dead connection is known after this long, twice. */
const PING_MS = 5000
const RECONNECT_MS = 500

/** What JetStream says when it does not do what it was asked for. */
export const refusals = {
  noMessage: 10057,
  nameInUse: 10058,
  noStream: 10059,
  wrongRevision: 10071,
  full: 10077
} as const

/** The connection to NATS, which is made again whenever it is lost. */
export class NatsLink {
  /** Called when NATS is there again. */
  onReturn = async () => {}
  readonly #replicas: number
  readonly #connection: NatsConnection
  readonly #manager: JetStreamManager
  readonly #client: JetStreamClient
  #trouble: string | null = null

  private constructor(connection: NatsConnection, manager: JetStreamManager, replicas: number) {
    this.#replicas = replicas
    this.#connection = connection
    this.#manager = manager
    this.#client = manager.jetstream()
    void this.#follow()
  }

  /** @throws {ConfigError} */
  static async open({ servers, credentials, replicas }: NatsOptions): Promise<NatsLink> {
    let connection: NatsConnection | undefined
    try {
      connection = await connect({
        ...identity(servers, credentials),
        servers: servers.map(({ server }) => server),
        ...(servers.some(({ tls }) => tls) && { tls: {} }),
        name: 'fewstep',
        maxReconnectAttempts: -1,
        ignoreAuthErrorAbort: true,
        reconnectTimeWait: RECONNECT_MS,
        pingInterval: PING_MS
      })
      return new NatsLink(connection, await jetstreamManager(connection), replicas)
    } catch (error) {
      await connection?.close()
      const got = servers.map(({ server }) => server).join(',')
      const { message } = error as Error
      throw new ConfigError(`--nats: expected a NATS server with JetStream, got ${got}: ${message}`)
    }
  }

  /** Null while it is there. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** Messages, to and fro. @throws while NATS cannot be reached */
  get client(): JetStreamClient {
    if (this.#trouble) throw new Error(this.#trouble)
    return this.#client
  }

  /** Streams and what is stored there. @throws while NATS cannot be reached */
  get manager(): JetStreamManager {
    if (this.#trouble) throw new Error(this.#trouble)
    return this.#manager
  }

  /** Bytes of the largest message, with room for its headers. */
  get maxMessageBytes(): number {
    return this.#connection.info!.max_payload - 1024
  }

  /** Creates the stream, or makes it what it is to be. */
  async ensureStream(config: Partial<StreamConfig> & { name: string }): Promise<void> {
    const whole = { ...config, num_replicas: this.#replicas }
    try {
      await this.manager.streams.add(whole)
    } catch (error) {
      unless(refusals.nameInUse)(error)
      await this.manager.streams.update(config.name, whole)
    }
  }

  /** Says what is still to be said, and goes. */
  async close(): Promise<void> {
    if (this.#trouble) await this.#connection.close()
    else await this.#connection.drain()
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'disconnect') this.#trouble = 'NATS cannot be reached'
      if (type === 'reconnect') {
        this.#trouble = null
        this.onReturn().catch(() => {}) // it is gone again, and will return
      }
    }
  }
}

/** Lets a refusal pass, and no other error. */
export function unless(refusal: number): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof JetStreamApiError) || error.code !== refusal) throw error
  }
}

/** No stream took the message: the client takes that for a server without any. */
export function isUntaken(error: unknown): boolean {
  return error instanceof Error && error.name === 'JetStreamNotEnabled'
}

function identity(servers: readonly NatsUrl[], credentials: Uint8Array | undefined): ConnectionOptions {
  if (credentials) return { authenticator: credsAuthenticator(credentials) }
  const { user, password } = servers.find(({ user }) => user !== '') ?? { user: '', password: '' }
  if (user === '') return {}
  return password === '' ? { token: user } : { user, pass: password }
}
