/** What `fewstep bench` measures, and how long. */
import { type Run, transports } from '../bench/plan.js'
import { choice, integer, list, MAX_INTEGER, numbers, optional, real, text, type Values } from '../setting.js'

const what = { group: 'What' }
const load = { group: 'Load' }
const output = { group: 'Output' }

/** A model, and its steps where the model's own default will not do. */
export type RunWish = Omit<Run, 'steps'> & { readonly steps?: number }

export const benchSettings = {
  url: optional(
    text({ ...what, argument: 'url', default: '', description: 'A fewstep server that runs.' }),
    'one of its own, for this run'
  ),
  key: optional(text({ ...what, argument: 'key', default: '', description: 'API key for it.' }), 'none'),
  run: list<RunWish>({
    ...what,
    argument: 'model[:steps]',
    expected: 'a model, or model:steps such as student:8',
    defaultText: 'each model of the server at its own number of steps',
    description: 'Compare these; may be repeated.',
    parseOne(value) {
      const [, model, steps] = /^([^:]+)(?::([1-9]\d{0,3}))?$/.exec(value) ?? []
      return model === undefined ? undefined : { model, ...(steps && { steps: Number(steps) }) }
    }
  }),
  transport: choice({
    ...what,
    argument: 'name',
    of: transports,
    default: 'websocket',
    description:
      'How texts are asked for: with every step over a WebSocket or as server-sent events, or as plain JSON.'
  }),
  prompts: optional(
    text({ ...what, argument: 'file', default: '', description: 'Prompts, one a line.' }),
    'none: texts from nothing'
  ),
  maxTokens: integer({
    ...what,
    min: 1,
    max: MAX_INTEGER,
    default: 128,
    description: 'Length of a text in tokens.'
  }),
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
    default: [8],
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
    of: ['poisson', 'constant'],
    default: 'poisson',
    description: 'Spacing of requests at a rate.'
  }),
  seconds: real({
    ...load,
    expected: 'a number of seconds over 0',
    within: (value) => value > 0 && value < 1e6,
    default: 20,
    description: 'Time for each model and load.'
  }),
  rounds: integer({
    ...load,
    min: 1,
    max: 1000,
    default: 4,
    description: 'Turns that the time is split into, so that what else the machine does falls on all alike.'
  }),
  sloMs: integer({
    ...load,
    min: 1,
    max: MAX_INTEGER,
    default: 2000,
    description: 'Goodput is the share of requests that end within so many milliseconds.'
  }),
  json: optional(
    text({ ...output, argument: 'file', default: '', description: 'Writes all figures there.' }),
    'no file'
  )
}
export type BenchSettings = Values<typeof benchSettings>
