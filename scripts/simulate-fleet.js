/** How many replicas a load needs, from what a pass costs: `node scripts/simulate-fleet.js --help`, docs/scale.md. */

import { Command, InvalidArgumentError } from 'commander'
import { dueTimes } from '../dist/bench/arrivals.js'
import { startOwnServer } from '../dist/bench/own-server.js'
import { textOf } from '../dist/bench/text.js'
import { parseTextLength } from '../dist/bench/text-length.js'
import { policies, quantile, simulate } from './fleet-simulation.js'
import { measureNode, told } from './measured-node.js'

/** Simulated and measured figures may differ by this factor. */
const TOLERANCE = 1.25

const HOUR_MS = 3_600_000

const program = new Command('simulate-fleet').description(
  'How many replicas a load needs. The scheduler is that of the server; passes take as long as they were measured to take.'
)

withTexts(program.command('check'))
  .description(
    'Measures one server, simulates the same texts, and compares: status 1 where they differ too much.'
  )
  .option('--url <url>', 'a server that nobody else uses (default: one of its own)')
  .option('--model <name>', 'of that server', 'student')
  .option('--loads <shares>', 'of what the server can do', numbers, [0.2, 0.5, 0.8])
  .action(check)

withCost(withTexts(program.command('size')))
  .description(
    'The fewest replicas that write so many texts a second, 99 of 100 of them within so many milliseconds.'
  )
  .requiredOption('--rate <texts>', 'a second', Number)
  .requiredOption('--p99-ms <ms>', 'from the request to the whole text', Number)
  .action(size)

withCost(withTexts(program.command('balance')))
  .description('Compares what a balancer may go by.')
  .option('--replicas <counts>', 'fleets to try', numbers, [3, 10, 100])
  .option('--loads <shares>', 'of what a fleet can do', numbers, [0.5, 0.8])
  .option('--slowness <factor>', 'every second replica takes so many times as long', Number, 1)
  .action(balance)

await program.parseAsync()

function withTexts(command) {
  return command
    .option(
      '--tokens <length>',
      'of a text: a number, uniform:low:high or lognormal:median:sigma',
      textLength,
      128
    )
    .option('--steps <steps>', 'of a text', Number, 8)
    .option('--context <tokens>', 'of the model', Number, 256)
    .option('--prefer <what>', 'throughput or latency, as the server is told', 'throughput')
    .option('--seconds <s>', 'for each load', Number, 60)
}

function withCost(command) {
  return command.requiredOption(
    '--cost <fixed,token,row>',
    'of a pass, milliseconds: for itself, each padded token and each row (fewstep_pass_cost_seconds of a server under load)',
    numbers
  )
}

async function check(options) {
  const server = options.url ? undefined : await startOwnServer()
  const url = options.url ?? server.url
  row('load', '', 'texts/s', 'texts in a pass', 'p50 ms', 'p90 ms', 'p99 ms')
  row(...Array(7).fill('---'))
  let worst = 1
  try {
    await measureNode(url, 1, { ...options, seconds: 10 }) // what a warmed-up server costs
    for (const load of options.loads) {
      const rate = load * (await capacity(modelOf(options, (await told(url, options.model)).terms), options))
      const { terms, ...measured } = await measureNode(url, rate, options)
      const simulated = await simulateFleet(modelOf(options, terms), rate, options)
      for (const [what, { textsPerSecond, batch, p50, p90, p99 }] of Object.entries({ measured, simulated }))
        row(load, what, textsPerSecond.toFixed(1), batch.toFixed(1), ...[p50, p90, p99].map(Math.round))
      for (const name of ['textsPerSecond', 'p50', 'p90'])
        worst = Math.max(worst, simulated[name] / measured[name], measured[name] / simulated[name])
    }
  } finally {
    await server?.stop()
  }
  console.log(`\nTexts/s, p50 and p90 differ by a factor of ${worst.toFixed(2)} at most.`)
  process.exitCode = Number(worst > TOLERANCE)
}

async function size(options) {
  const model = modelOf(options, termsOf(options.cost))
  row('replicas', 'busy', 'refused', 'p50 ms', 'p99 ms')
  row(...Array(5).fill('---'))
  const serves = async (replicas) => {
    const { busy, refused, p50, p99 } = await simulateFleet(model, options.rate, options, { replicas })
    row(replicas, `${Math.round(100 * busy)} %`, refused, Math.round(p50), Math.round(p99))
    return refused === 0 && p99 <= options.p99Ms
  }
  const alone = await p99Alone(model, options)
  if (alone > options.p99Ms) {
    console.log(`\nNo number of replicas does: texts alone take ${Math.round(alone)} ms (p99).`)
    process.exitCode = 1
    return
  }
  let few = Math.max(0, Math.floor(options.rate / (await capacity(model, options))) - 1) // too few
  let enough = few + 1
  while (!(await serves(enough))) {
    few = enough
    enough = Math.ceil(1.25 * enough)
  }
  while (enough - few > 1) {
    const middle = (few + enough) >>> 1
    if (await serves(middle)) enough = middle
    else few = middle
  }
  console.log(`\n${enough} replicas.`)
}

async function balance(options) {
  const model = modelOf(options, termsOf(options.cost))
  const slowness = (replica) => (replica % 2 ? options.slowness : 1)
  const speed = (1 + 1 / options.slowness) / 2
  const one = await capacity(model, options)
  row('replicas', 'load', 'balancer', 'refused', 'p50 ms', 'p99 ms')
  row(...Array(6).fill('---'))
  for (const replicas of options.replicas) {
    for (const load of options.loads) {
      const rate = load * replicas * speed * one
      for (const policy of Object.keys(policies)) {
        const { refused, p50, p99 } = await simulateFleet(model, rate, options, {
          replicas,
          slowness,
          policy
        })
        row(replicas, load, policy, refused, Math.round(p50), Math.round(p99))
      }
    }
  }
}

/** The texts that `fewstep bench` asks for. */
function textAt(at, n, { tokens }) {
  const { seed, maxTokens } = textOf(
    { prompts: [''], maxTokens: tokens, cancelShare: 0, slowReaderShare: 0 },
    0,
    n
  )
  return { at, seed, tokens: maxTokens }
}

/** And when it does. */
function* textsOf(rate, options) {
  let n = 0
  for (const at of dueTimes({
    arrivals: 'poisson',
    rate,
    seconds: options.seconds,
    requests: Infinity,
    round: 0
  }))
    yield textAt(at, n++, options)
}

/** Texts a second of one replica that has no lack of them. */
async function capacity(model, options) {
  const texts = Array.from({ length: model.maxQueue }, (_, n) => textAt(0, n, options))
  const { written } = await simulate(model, texts)
  return (1000 * written.length) / written.at(-1).ended
}

/** Milliseconds of texts that meet no other. */
async function p99Alone(model, options) {
  const texts = Array.from({ length: 1000 }, (_, n) => textAt(n * HOUR_MS, n, options))
  const { written } = await simulate(model, texts, { policy: 'in turn' })
  return quantile(latenciesOf(written), 0.99)
}

function latenciesOf(written) {
  return written.map(({ came, ended }) => ended - came)
}

async function simulateFleet(model, rate, options, fleet) {
  const { written, ...rest } = await simulate(model, textsOf(rate, options), fleet)
  const latencies = latenciesOf(written)
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => quantile(latencies, share))
  // as `fewstep bench` counts: of a text that is not yet whole at the end, the share of its time that lies before
  const end = 1000 * options.seconds
  const texts = written.reduce(
    (sum, { came, ended }) => sum + (Math.min(ended, end) - came) / (ended - came),
    0
  )
  return { ...rest, textsPerSecond: texts / options.seconds, p50, p90, p99 }
}

function modelOf({ context, steps, prefer }, terms) {
  const defaults = { noise: 'log-linear', maxBatchTokens: 4096, maxQueue: 256, maxBacklogMs: 300_000 }
  return { ...defaults, context, steps, prefer, terms }
}

function termsOf([fixedMs, msPerToken, msPerRow]) {
  return { fixedMs, msPerToken, msPerRow }
}

function row(...cells) {
  console.log(`| ${cells.join(' | ')} |`)
}

function numbers(text) {
  const values = text.split(',').map(Number)
  if (values.every((value) => value >= 0)) return values
  throw new InvalidArgumentError('Expected numbers with commas between them.')
}

function textLength(text) {
  const length = parseTextLength(text)
  if (length !== undefined) return length
  throw new InvalidArgumentError('Expected a number, uniform:low:high or lognormal:median:sigma.')
}
