/** What do the parts around servers cost: the balancer, NATS, whoever collects metrics? CPU time, which neighbours on the machine hardly change. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import autocannon from 'autocannon'
import { minMedianMax, report } from './report.js'
import { startServer } from './server.js'

const FLAGS = ['--model', 'test/fixtures/models/toy-mixture', '--device', 'cpu', '--threads', '1']
const REQUESTS = 20_000
const STREAMS = 2000
const STEPS = 15 // as many as the toy model has places
const FLEETS = [10, 100, 1000]
const SECONDS = 15
const LINES = 10_000
const CONFIG = 'deploy/haproxy/haproxy.cfg'

for (const program of ['haproxy', 'nats-server'])
  if (spawnSync(program, ['-v']).error) throw new Error(`needs ${program}`)

const folder = mkdtempSync(join(tmpdir(), 'fewstep-'))
const server = await startServer(FLAGS)
const requests = await costOfRequests()
const fleets = []
for (const replicas of FLEETS) fleets.push(await costOfReplicas(replicas))
const scrape = await costOfScrape()
await server.stop()
const nats = await costOfLines()
rmSync(folder, { recursive: true })

report(
  'fleet',
  'What the parts around servers cost, in CPU time: HAProxy with the files of deploy/haproxy, nats-server, a scrape of metrics.',
  [
    { what: 'HAProxy, a request', figure: `${requests.requestUs.toFixed(0)} µs` },
    { what: 'HAProxy, an event of a stream', figure: `${requests.eventUs.toFixed(1)} µs` },
    ...fleets.map(({ replicas, cpuShare, asksPerSecond }) => ({
      what: `HAProxy, ${replicas} replicas and no requests`,
      figure: `${(100 * cpuShare).toFixed(1)} % of a core; each replica is asked what it owes ${asksPerSecond.toFixed(2)} times a second`
    })),
    {
      what: 'NATS, a line of a batch, from the file to the output',
      figure: `${nats.natsUs.toFixed(0)} µs, ${nats.bytes.toFixed(0)} bytes on disk`
    },
    { what: 'a server, beside its passes, a line', figure: `${nats.serverUs.toFixed(0)} µs` },
    { what: 'lines a second of one server (a model of no size)', figure: nats.linesPerSecond.toFixed(0) },
    {
      what: 'a scrape of one server',
      figure: `${scrape.series} series, ${(scrape.bytes / 1024).toFixed(0)} KiB, ${scrape.ms.median.toFixed(1)} ms`
    }
  ],
  { requests, fleets, nats, scrape }
)

/** HAProxy with so many replicas, all of which are the one server. */
async function startBalancer(replicas) {
  const address = server.url.slice('http://'.length)
  const file = join(folder, 'haproxy.cfg')
  const fleet = Array.from({ length: replicas }, (_, i) => `    server s${i} ${address}`).join('\n')
  const config = readFileSync(CONFIG, 'utf8')
    .replace(/( {4}server . .*\n)+/, `${fleet}\n`)
    .replace('bind :8080', 'bind 127.0.0.1:8087')
  writeFileSync(file, config)
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' })
  const url = 'http://127.0.0.1:8087'
  while (!(await fetch(`${url}/health/live`).catch(() => undefined))?.ok) await setTimeout(100)
  await setTimeout(2000) // all are up
  const stop = () => {
    child.kill('SIGKILL')
    return once(child, 'exit')
  }
  return { url, pid: child.pid, stop }
}

async function costOfRequests() {
  const balancer = await startBalancer(1)
  const before = cpuSeconds(balancer.pid)
  const { errors, non2xx } = await autocannon({
    url: `${balancer.url}/health/live`,
    connections: 16,
    amount: REQUESTS
  })
  const between = cpuSeconds(balancer.pid)
  let events = 0
  const ask = async (seed) => {
    const answer = await fetch(`${balancer.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ max_tokens: STEPS, steps: STEPS, seed, stream: true, drafts: true })
    })
    events += (await answer.text()).split('\n\n').length - 1
  }
  for (let seed = 0; seed < STREAMS; seed += 8)
    await Promise.all(Array.from({ length: 8 }, (_, i) => ask(seed + i)))
  const after = cpuSeconds(balancer.pid)
  await balancer.stop()
  if (errors + non2xx > 0) throw new Error(`${errors + non2xx} requests failed`)
  const requestUs = (1e6 * (between - before)) / REQUESTS
  const eventUs = (1e6 * (after - between) - STREAMS * requestUs) / events
  return { requestUs, eventUs, eventsPerStream: events / STREAMS }
}

async function costOfReplicas(replicas) {
  const balancer = await startBalancer(replicas)
  const [cpu, asked] = [cpuSeconds(balancer.pid), await timesAsked()]
  await setTimeout(1000 * SECONDS)
  const [cpuAfter, askedAfter] = [cpuSeconds(balancer.pid), await timesAsked()]
  await balancer.stop()
  const probes = 1 // a second, by HAProxy's own check of each
  const asksPerSecond = (askedAfter - asked) / SECONDS / replicas - probes
  return { replicas, cpuShare: (cpuAfter - cpu) / SECONDS, asksPerSecond }
}

/** How often the server was asked whether it is ready. */
async function timesAsked() {
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  const lines = metrics
    .split('\n')
    .filter((line) => /^fewstep_http_requests_total.*"\/health\/ready"/.test(line))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

async function costOfScrape() {
  const times = []
  let text = ''
  for (let i = 0; i < 50; i++) {
    const start = performance.now()
    text = await (await fetch(`${server.url}/metrics`)).text()
    times.push(performance.now() - start)
  }
  const series = text.split('\n').filter((line) => line && !line.startsWith('#')).length
  return { series, bytes: Buffer.byteLength(text), ms: minMedianMax(times) }
}

async function costOfLines() {
  const port = 4333
  const child = spawn(
    'nats-server',
    ['--jetstream', '--addr', '127.0.0.1', '-p', `${port}`, '--store_dir', folder],
    {
      stdio: 'ignore'
    }
  )
  await setTimeout(1000)
  const worker = await startServer([...FLAGS, '--nats', `nats://127.0.0.1:${port}`])
  const cpu = [cpuSeconds(child.pid), cpuSeconds(worker.pid)]
  const start = performance.now()
  await runBatch(worker.url)
  const seconds = (performance.now() - start) / 1000
  const [natsUs, serverUs] = [child.pid, worker.pid].map(
    (pid, i) => (1e6 * (cpuSeconds(pid) - cpu[i])) / LINES
  )
  const bytes = Number(spawnSync('du', ['-sb', folder], { encoding: 'utf8' }).stdout.split('\t')[0]) / LINES
  await worker.stop()
  child.kill('SIGKILL')
  await once(child, 'exit')
  return { natsUs, serverUs, bytes, linesPerSecond: LINES / seconds }
}

async function runBatch(url) {
  const line = (i) => ({
    custom_id: `${i}`,
    method: 'POST',
    url: '/v1/completions',
    body: { prompt: ' red', max_tokens: 8, steps: 2, seed: i }
  })
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set(
    'file',
    new Blob(Array.from({ length: LINES }, (_, i) => `${JSON.stringify(line(i))}\n`)),
    'lines.jsonl'
  )
  const file = await json(`${url}/v1/files`, { method: 'POST', body: form })
  const { id } = await json(`${url}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input_file_id: file.id, endpoint: '/v1/completions', completion_window: '1h' })
  })
  for (;;) {
    const { status } = await json(`${url}/v1/batches/${id}`)
    if (status === 'completed') return
    if (!['in_progress', 'finalizing'].includes(status)) throw new Error(`the batch is ${status}`)
    await setTimeout(100)
  }
}

async function json(url, init) {
  const answer = await fetch(url, init)
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  return answer.json()
}

/** What a process has taken of all cores so far. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  const [user, system] = [fields[11], fields[12]].map(Number)
  return (user + system) / 100 // ticks of Linux
}
