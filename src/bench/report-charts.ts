/** What the report draws, apart from how. */
import type { Result } from './measurement.js'
import { loadName, nameOf } from './plan.js'

/** Points of one colour, in order of x; a label stands beside its point. */
export interface Series {
  readonly name: string
  readonly points: readonly Point[]
  /** Series of one hue belong together. */
  readonly hue: number
  readonly dashed?: boolean
}

export interface Point {
  readonly x: number
  readonly y: number
  readonly label?: string
}

export interface Chart {
  readonly title: string
  readonly hint: string
  readonly x: string
  readonly y: string
  readonly logarithmic?: boolean
  readonly series: readonly Series[]
}

/** The charts that these results have something for. */
export function chartsOf(results: readonly Result[]): Chart[] {
  const models = [...new Set(results.map(({ model }) => model))]
  const runs = [...new Set(results.map(nameOf))]
  const loads = [...new Set(results.map(({ load }) => loadName(load)))]
  const last = loads.at(-1)
  const atLast = results.filter(({ load }) => loadName(load) === last)
  return [
    pareto(atLast, models),
    ...(loads.length > 1 ? [latencyAgainstLoad(results, runs)] : []),
    latencyDistribution(atLast, runs)
  ].filter(({ series }) => series.length > 0)
}

/** Up is better text, right is faster: what lies to the right of and above another is better in both. */
function pareto(results: readonly Result[], models: readonly string[]): Chart {
  const judged = results.length > 0 && results.every(({ perplexity }) => perplexity)
  const load = results[0] ? loadName(results[0].load) : ''
  return {
    title: 'Speed against quality',
    hint: judged
      ? `${load}. Further right is faster, further down is likelier text. The number beside a point is its steps.`
      : `${load}. Further right is faster. Entropy tells how varied the words are, not how good the text is. The number beside a point is its steps.`,
    x: 'tokens a second',
    y: judged ? 'perplexity' : 'entropy, nats',
    logarithmic: true,
    series: models.map((model, hue) => ({
      name: model,
      hue,
      points: results
        .filter((result) => result.model === model)
        .map(({ steps, figures, variety, perplexity }) => ({
          x: figures.tokensPerSecond,
          y: judged ? perplexity!.value : variety.entropy,
          ...(steps !== null && { label: `${steps}` })
        }))
        .filter(isFinitePoint)
        .sort(byX)
    }))
  }
}

function latencyAgainstLoad(results: readonly Result[], runs: readonly string[]): Chart {
  const closed = results[0]?.load.kind === 'closed'
  const series = (percentile: 'p50' | 'p99') =>
    runs.map((run, hue) => ({
      name: `${run}, ${percentile}`,
      hue,
      dashed: percentile === 'p99',
      points: results
        .filter((result) => nameOf(result) === run)
        .map(({ load, figures }) => ({
          x: load.kind === 'closed' ? load.concurrency : load.rate,
          y: figures.latency[percentile]
        }))
        .filter(isFinitePoint)
        .sort(byX)
    }))
  return {
    title: 'Latency against load',
    hint: 'Whole texts. Solid: the median; dashed: 99 of 100 are faster.',
    x: closed ? 'texts at once' : 'requests a second',
    y: 'milliseconds',
    series: [...series('p50'), ...series('p99')]
  }
}

function latencyDistribution(results: readonly Result[], runs: readonly string[]): Chart {
  return {
    title: 'How long texts take',
    hint: `${results[0] ? loadName(results[0].load) : ''}. So many of 100 texts are done within the time.`,
    x: 'milliseconds',
    y: 'of 100 texts',
    logarithmic: true,
    series: results.map((result) => ({
      name: nameOf(result),
      hue: runs.indexOf(nameOf(result)),
      points: result.figures.latencyCurve
        .map(([percent, ms]) => ({ x: ms, y: percent }))
        .filter(isFinitePoint)
    }))
  }
}

const byX = (a: Point, b: Point) => a.x - b.x
const isFinitePoint = ({ x, y }: Point) => Number.isFinite(x) && Number.isFinite(y)
