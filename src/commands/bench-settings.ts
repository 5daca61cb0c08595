/** What `fewstep bench` measures, and how long. */
import { type Assertion, metrics, parseAssertion } from '../bench/assertion.js'
import { arrivals, type Run, transports } from '../bench/plan.js'
import { parseTextLength, type TextLength } from '../bench/text-length.js'
import {
  choice,
  integer,
  list,
  MAX_INTEGER,
  numbers,
  one,
  optional,
  real,
  type Setting,
  text,
  toggle,
  type Values
} from '../setting.js'

const what = { group: 'What' }
const load = { group: 'Load' }
const output = { group: 'Output' }

/** A model, and its steps where the model's own default will not do. */
export type RunWish = Omit<Run, 'steps'> & { readonly steps?: number }

const maxTokens: Setting<TextLength> = {
  ...what,
  argument: 'n | uniform:low:high | lognormal:median:sigma',
  default: 128,
  defaultText: '128',
  expected: 'tokens such as 64, or a distribution: uniform:16:128 or lognormal:64:0.5',
  many: false,
  parse: one(parseTextLength),
  description: 'Length of a text in tokens: the same for all, or drawn for each.'
}

const share = {
  ...load,
  argument: 'share',
  expected: 'a share from 0 to 1',
  within: (value: number) => value >= 0 && value <= 1,
  default: 0
}

export const benchSettings = {
  url: optional(
    text({
      ...what,
      argument: 'url',
      default: '',
      description: 'A server that runs: fewstep, or any that answers OpenAI clients at /v1/completions.'
    }),
    'one of its own, for this run'
  ),
  key: optional(text({ ...what, argument: 'key', default: '', description: 'API key for it.' }), 'none'),
  run: list<RunWish>({
    ...what,
    argument: 'model[:steps]',
    expected: 'a model, or model:steps such as student:8',
    defaultText: 'each model of a server that runs at its own number of steps; the bundled ones at several',
    description: 'Compare these; may be repeated.',
    parseOne(value) {
      const [, model, steps] = /^([^:]+)(?::([1-9]\d{0,3}))?$/.exec(value) ?? []
      return model === undefined ? undefined : { model, ...(steps && { steps: Number(steps) }) }
    }
  }),
  transport: optional(
    choice({
      ...what,
      argument: 'name',
      of: transports,
      default: 'websocket',
      description:
        'How texts are asked for: with every step over a WebSocket or as server-sent events, or as plain JSON.'
    }),
    'websocket; sse where the server is not fewstep'
  ),
  prompts: optional(
    text({ ...what, argument: 'file', default: '', description: 'Prompts, one a line.' }),
    'none: texts from nothing'
  ),
  maxTokens,
  temperature: real({
    ...what,
    expected: 'a number from 0 to 2',
    within: (value) => value >= 0 && value <= 2,
    default: 1,
    description: 'Of the sampling.'
  }),
  concurrency: numbers({
    ...load,
    argument: 'n,…',
    default: [1, 8],
    description:
      'So many clients, each with its next request when the last has ended; one measurement for each number.'
  }),
  rate: numbers({
    ...load,
    argument: 'x,…',
    default: [],
    description:
      'So many requests a second instead, whatever becomes of them. Latency counts from when a request was due.'
  }),
  arrivals: choice({
    ...load,
    argument: 'how',
    of: arrivals,
    default: 'poisson',
    description: 'Spacing of requests at a rate. A ramp goes from nothing to the rate.'
  }),
  seconds: real({
    ...load,
    expected: 'a number of seconds over 0',
    within: (value) => value > 0 && value < 1e6,
    default: 20,
    description: 'Time for each model and load.'
  }),
  requests: optional(
    integer({
      ...load,
      min: 1,
      max: 1_000_000,
      default: 1,
      description: 'So many requests for each model and load, instead of a time.'
    }),
    'as many as the time takes'
  ),
  warmUpSeconds: real({
    ...load,
    expected: 'a number of seconds of at least 0',
    within: (value) => value >= 0 && value < 1e6,
    default: 0,
    description: 'The same load before that, counted nowhere. One text of each model comes first in any case.'
  }),
  rounds: integer({
    ...load,
    min: 1,
    max: 1000,
    default: 4,
    description: 'Turns that the time is split into, so that what else the machine does falls on all alike.'
  }),
  timeoutMs: integer({
    ...load,
    min: 1,
    max: MAX_INTEGER,
    default: 120_000,
    description: 'A request that takes longer is given up.'
  }),
  cancelShare: real({
    ...share,
    description: 'Share of readers who leave before the end, at any moment of it.'
  }),
  slowReaderShare: real({
    ...share,
    description: 'Share of readers who read late. Their own times are not counted.'
  }),
  sloMs: integer({
    ...load,
    min: 1,
    max: MAX_INTEGER,
    default: 2000,
    description: 'Goodput is the share of requests that end within so many milliseconds.'
  }),
  judge: toggle({
    ...output,
    description:
      'Tells the perplexity of the texts that were timed, under a language model; afterwards, and it takes a while. Needs Python with distill.'
  }),
  python: optional(
    text({ ...output, argument: 'path', default: '', description: 'The Python for that.' }),
    'PYTHON of the environment, or python3'
  ),
  html: text({
    ...output,
    argument: 'file',
    default: 'fewstep-bench.html',
    description: 'Writes the report there, one page that needs nothing else.'
  }),
  json: optional(
    text({ ...output, argument: 'file', default: '', description: 'Writes all figures there.' }),
    'no file'
  ),
  assert: list<Assertion>({
    ...output,
    argument: '[run ]metric>x',
    expected: `a metric, one of < <= > >= and a number, such as goodput>0.99 or "student:4 latency.p99<500", the metric one of ${metrics.join(', ')}`,
    defaultText: 'nothing',
    description: 'Exit status 1 where it does not hold. May be repeated.',
    parseOne: parseAssertion
  })
}
export type BenchSettings = Values<typeof benchSettings>
