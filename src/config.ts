/** Every setting once: name, range, default and description. Flags, variables, help and docs come from here. `readSettings` reads them. */
import { isIP } from 'node:net'
import { KEY_LINE, parseKey } from './api-keys.js'
import { availableCores } from './available-cores.js'
import { parseNatsUrl } from './batches/nats-url.js'
import {
  choice,
  flagOf,
  integer,
  integers,
  list,
  MAX_INTEGER,
  optional,
  text,
  type Values,
  variableOf
} from './setting.js'

const network = { group: 'Network' }
const security = { group: 'Security' }
const models = { group: 'Models' }
const limits = { group: 'Limits' }
const batches = { group: 'Offline batches' }
const times = { group: 'Times' }

export const settings = {
  host: text({
    ...network,
    argument: 'address',
    default: '127.0.0.1',
    description: 'Address to listen on; 0.0.0.0 for all.'
  }),
  port: integer({
    ...network,
    min: 0,
    max: 65535,
    default: 8080,
    description: 'Port to listen on; 0 takes a free one.'
  }),
  bodyLimit: integer({
    ...network,
    argument: 'bytes',
    min: 1024,
    max: MAX_INTEGER,
    default: 1024 * 1024,
    description: 'Largest body of a request and largest WebSocket message.'
  }),
  apiKey: list({
    ...security,
    argument: 'key',
    expected: KEY_LINE,
    defaultText: 'none',
    secret: true,
    description:
      'A client that is let in, as name:roles:hash; `fewstep key` makes one. May be repeated. With no key at all everybody may do everything.',
    parseOne: parseKey
  }),
  apiKeysFile: optional(
    text({
      ...security,
      argument: 'file',
      default: '',
      description: 'More such keys, one a line; # begins a comment. Read again at SIGHUP.'
    }),
    'none'
  ),
  allowOrigin: list({
    ...security,
    argument: 'origin',
    expected: 'an origin such as https://example.com',
    defaultText: "the server's own",
    description:
      'Origin whose web pages may use the API and WebSockets, such as https://example.com. May be repeated.',
    parseOne: (value) => (URL.canParse(value) && new URL(value).origin === value ? value : undefined)
  }),
  trustProxy: list({
    ...security,
    argument: 'address',
    expected: 'an IP address or a network such as 10.0.0.0/8',
    defaultText: 'none',
    description:
      'Proxy whose X-Forwarded headers are believed: an address or a network such as 10.0.0.0/8. May be repeated.',
    parseOne: (value) => (isNetwork(value) ? value : undefined)
  }),
  maxRequestsPerMinute: integer({
    ...security,
    min: 0,
    max: MAX_INTEGER,
    default: 0,
    defaultText: '0, no limit',
    description:
      'Requests that one key, or one address without a key, may start in a minute; further ones are refused with 429.'
  }),
  tlsCert: optional(
    text({
      ...security,
      argument: 'file',
      default: '',
      description: 'Certificate chain (PEM) to speak HTTPS with. Read again at SIGHUP.'
    }),
    'none: plain HTTP'
  ),
  tlsKey: optional(
    text({ ...security, argument: 'file', default: '', description: 'Private key (PEM) of --tls-cert.' }),
    'none'
  ),
  model: list({
    ...models,
    argument: 'folder',
    expected: 'the folder of a model',
    defaultText: 'all that come with fewstep',
    description:
      'Folder of a model (it holds model.json), or the name of one that comes with fewstep. May be repeated; the first answers requests that name none.',
    parseOne: (value) => value || undefined
  }),
  alias: list({
    ...models,
    argument: 'name=model',
    expected: 'name=model',
    defaultText: 'none',
    description: 'Another name for a model, such as gpt-3.5-turbo-instruct=student. May be repeated.',
    parseOne: (value) =>
      /^([^=]+)=([^=]+)$/.exec(value)?.slice(1) as [alias: string, model: string] | undefined
  }),
  device: choice({
    ...models,
    argument: 'device',
    of: ['auto', 'cuda', 'cpu'],
    default: 'auto',
    description:
      'Where passes run: auto (the GPU where there is a usable one), cuda (refuses to start without) or cpu.'
  }),
  devices: integers({
    ...models,
    argument: 'numbers',
    default: [0],
    description:
      'GPUs to use, as nvidia-smi counts them, such as 0,1: each gets a process, and texts are spread over them. On the CPU, one process for each.'
  }),
  threads: integer({
    ...models,
    min: 1,
    max: 1024,
    default: availableCores(),
    defaultText: 'available cores',
    description: 'Threads of a pass on the CPU.'
  }),
  prefer: choice({
    ...models,
    argument: 'what',
    of: ['throughput', 'latency'],
    default: 'throughput',
    description:
      'When texts wait: throughput (passes large enough for 98 % of what the device can do, the next one sent ahead) or latency (90 %, one at a time: fewer texts run at once, and each ends sooner).'
  }),
  maxQueue: integer({
    ...limits,
    min: 1,
    max: MAX_INTEGER,
    default: 256,
    description: 'Texts of one model that may wait; further ones are refused with 429.'
  }),
  maxBacklogMs: integer({
    ...limits,
    argument: 'ms',
    min: 1,
    max: MAX_INTEGER,
    default: 300_000,
    description:
      'Time in passes that the texts of one model may still need when one more comes; it is refused with 429 beyond.'
  }),
  maxBatchTokens: integer({
    ...limits,
    min: 1,
    max: MAX_INTEGER,
    default: 4096,
    description:
      'Most tokens of one pass, padding included, and four times the most that it reveals: bounds memory. A longer text gets a pass to itself.'
  }),
  maxTextTokens: integer({
    ...limits,
    min: 2,
    max: MAX_INTEGER,
    default: 1024,
    description:
      'Longest text in tokens, prompt included. Beyond the context of a model it is written in windows.'
  }),
  maxTexts: integer({
    ...limits,
    min: 1,
    max: MAX_INTEGER,
    default: 16,
    description: 'Texts of one request: prompts times best_of (or n).'
  }),
  maxSocketSequences: integer({
    ...limits,
    min: 1,
    max: MAX_INTEGER,
    default: 32,
    description:
      'Texts in work on one WebSocket from which on a further request is refused with 429; and requests in work on an HTTP/1.1 connection that pipelines them.'
  }),
  maxKeyRequests: integer({
    ...limits,
    min: 1,
    max: MAX_INTEGER,
    default: 128,
    description: 'Requests that one key may have in work; further ones are refused with 429.'
  }),
  maxConnections: integer({
    ...limits,
    min: 1,
    max: MAX_INTEGER,
    default: 4096,
    description: 'Connections that may be open; a further one is closed at once.'
  }),
  maxAddressConnections: optional(
    integer({
      ...limits,
      min: 1,
      max: MAX_INTEGER,
      default: 1024,
      description:
        'The same of one address, or of 64 bits of IPv6; a trusted proxy may open as many as there are.'
    }),
    'a quarter of --max-connections'
  ),
  data: optional(
    text({
      ...batches,
      argument: 'folder',
      default: '',
      description: 'Folder for offline batches: their files, and a database. One server uses it at a time.'
    }),
    'none: offline batches are off'
  ),
  nats: list({
    ...batches,
    argument: 'url',
    expected: 'a URL such as nats://host:4222',
    defaultText: 'none',
    secret: true,
    description:
      'NATS server with JetStream that keeps offline batches in place of --data, for any number of servers: nats://host:4222, or tls://; user:password@ or token@ may stand before the host. May be repeated, for the members of a cluster.',
    parseOne: parseNatsUrl
  }),
  natsCredentials: optional(
    text({
      ...batches,
      argument: 'file',
      default: '',
      description: 'Credentials (.creds) to show to NATS, in place of those in its URL.'
    }),
    'none'
  ),
  natsReplicas: integer({
    ...batches,
    min: 1,
    max: 5,
    default: 1,
    description: 'Members of a NATS cluster that keep each message: 3 lets one fail.'
  }),
  maxFileBytes: integer({
    ...batches,
    argument: 'bytes',
    min: 1024,
    max: MAX_INTEGER,
    default: 100 * 1024 * 1024,
    description: 'Largest file of an offline batch.'
  }),
  maxDataBytes: integer({
    ...batches,
    argument: 'bytes',
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
    default: 10 * 1024 ** 3,
    description:
      'Most that all files and offline batches take together, 16 KiB for each of them included; a further one is refused.'
  }),
  maxBatchLines: integer({
    ...batches,
    min: 1,
    max: 1_000_000,
    default: 100_000,
    description: 'Most requests of an offline batch.'
  }),
  passTimeoutMs: integer({
    ...times,
    argument: 'ms',
    min: 100,
    max: MAX_INTEGER,
    default: 30_000,
    description:
      'A pass that takes longer is given up: its process is replaced and its texts go on from where they were.'
  }),
  heartbeatMs: integer({
    ...times,
    argument: 'ms',
    min: 100,
    max: MAX_INTEGER,
    default: 30_000,
    description: 'Between two signs of life on a stream; a WebSocket that answers none of them is closed.'
  }),
  readerTimeoutMs: integer({
    ...times,
    argument: 'ms',
    min: 100,
    max: MAX_INTEGER,
    default: 30_000,
    description: 'A client that takes nothing of what waits for it for so long is cut off.'
  }),
  shutdownTimeoutMs: integer({
    ...times,
    argument: 'ms',
    min: 0,
    max: MAX_INTEGER,
    default: 25_000,
    description: 'How long accepted texts may take to finish after SIGTERM or SIGINT.'
  }),
  logPrompts: choice({
    group: 'Log',
    argument: 'answer',
    of: ['no', 'yes'],
    default: 'no',
    description: 'Whether requests are logged with what they ask, prompts included.'
  }),
  logLevel: choice({
    group: 'Log',
    argument: 'level',
    of: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    description:
      'Least severe message to log, as JSON lines on standard error: trace, debug, info, warn, error, fatal or silent.'
  })
}

export type Config = Values<typeof settings>

function isNetwork(value: string): boolean {
  const [address = '', prefix] = value.split('/')
  const family = isIP(address)
  if (family === 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}

/** The settings as a table in Markdown, for the docs. */
export function settingsTable(): string {
  const rows = Object.entries(settings).map(
    ([name, { description, expected, defaultText }]) =>
      `| \`${flagOf(name)}\` | \`${variableOf(name)}\` | ${expected} | ${defaultText} | ${description} |`
  )
  return ['| flag | variable | value | default | what it does |', '|---|---|---|---|---|', ...rows].join('\n')
}
