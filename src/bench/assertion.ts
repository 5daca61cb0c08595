import type { Result } from './measurement.js'
import { loadName, nameOf } from './plan.js'

/** What a result has to be, such as `goodput>0.99`, or `student:4 latency.p99<500` of that run alone. */
export interface Assertion {
  readonly text: string
  readonly model?: string
  readonly steps?: number
  readonly metric: string
  readonly operator: keyof typeof holds
  readonly bound: number
}

const holds = {
  '<': (value: number, bound: number) => value < bound,
  '<=': (value: number, bound: number) => value <= bound,
  '>': (value: number, bound: number) => value > bound,
  '>=': (value: number, bound: number) => value >= bound
}

const times = ['latency', 'queue', 'firstStep', 'firstText', 'sendDelay']
const quantiles = ['p50', 'p90', 'p99', 'max']
const endings = ['done', 'slow', 'refused', 'failed', 'timedOut', 'cancelled']

/** Metrics by their names in the JSON. */
export const metrics: readonly string[] = [
  'goodput',
  'tokensPerSecond',
  'textsPerSecond',
  'stepsPerSecond',
  'passesPerText',
  ...times.flatMap((time) => quantiles.map((quantile) => `${time}.${quantile}`)),
  ...endings.map((ending) => `requests.${ending}`),
  'entropy',
  'distinct2',
  'repetition',
  'perplexity'
]

const FORM = /^(?:([^\s:]+)(?::(\d+))? +)?([\w.]+) *(<=|>=|<|>) *(-?[\d.]+(?:e-?\d+)?)$/

/** Undefined where it is none. */
export function parseAssertion(text: string): Assertion | undefined {
  const [, model, steps, metric, operator, bound] = FORM.exec(text.trim()) ?? []
  if (metric === undefined || !metrics.includes(metric) || Number.isNaN(Number(bound))) return undefined
  return {
    text,
    ...(model !== undefined && { model }),
    ...(steps !== undefined && { steps: Number(steps) }),
    metric,
    operator: operator as Assertion['operator'],
    bound: Number(bound)
  }
}

/** Which of these do not hold, and for which results, in words. One that no result is asked about does not hold either. */
export function broken(assertions: readonly Assertion[], results: readonly Result[]): string[] {
  return assertions.flatMap((assertion) => {
    const asked = results.filter(
      ({ model, steps }) => (assertion.model ?? model) === model && (assertion.steps ?? steps) === steps
    )
    if (asked.length === 0) return [`${assertion.text}: expected a run of that name, got none`]
    return asked.flatMap((result) => {
      const value = figureOf(assertion.metric, result)
      if (holds[assertion.operator](value, assertion.bound)) return []
      const got = Number.isNaN(value) ? 'nothing' : Number(value.toPrecision(4))
      return [`${assertion.text}: got ${got} for ${nameOf(result)}, ${loadName(result.load)}`]
    })
  })
}

function figureOf(metric: string, { figures, variety, perplexity }: Result): number {
  if (metric === 'perplexity') return perplexity?.value ?? Number.NaN
  const all = { ...figures, ...variety }
  const value = metric
    .split('.')
    .reduce<unknown>((part, name) => (part as Record<string, unknown>)[name], all)
  return value as number
}
