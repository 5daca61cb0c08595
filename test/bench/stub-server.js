/**
 * A server that answers as fewstep does, or as any OpenAI-compatible one, after a time that is set: what a load generator finds out about it is
 * known beforehand. A process of its own: `node stub-server.js '{"delayMs": 20}'`; it prints its URL.
 */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const options = {
  /** 'fewstep', or 'plain': a list of models without steps, completions without timings. */
  kind: 'fewstep',
  /** From a request to the whole answer. */
  delayMs: 0,
  /** `{ request, forMs }`: stands still once, from that request on; nothing that is due then is answered before the end of it. */
  stall: null,
  /** One text at a time; `mostWaiting` may wait for their turn, and more are refused. */
  serial: false,
  mostWaiting: Number.POSITIVE_INFINITY,
  ...JSON.parse(process.argv[2] ?? '{}')
}
const timings = {
  queue_ms: 1,
  first_step_ms: 2,
  pass_ms: options.delayMs,
  total_ms: options.delayMs,
  passes: 4
}
const usage = { prompt_tokens: 1, completion_tokens: 8, total_tokens: 9 }
const text = ' a b c d e f g h'
const fewstep = options.kind === 'fewstep'
const start = {
  type: 'sequence-start',
  index: 0,
  model: 'stub',
  seed: 1,
  length: 8,
  steps: 4,
  passes: 4,
  rows: 8
}
const step = { type: 'step-end', index: 0, step: 4, of: 4, t: 0, reveals: [], masked: 0, delta: text }
const end = { type: 'sequence-end', index: 0, text, finish_reason: 'length', usage, timings }
const choice = { index: 0, text, finish_reason: 'length', logprobs: null }

const whole = JSON.stringify({
  id: 'cmpl-1',
  object: 'text_completion',
  choices: [fewstep ? { ...choice, fewstep: { steps: 4, timings } } : choice],
  usage
})
const event = ({ type, ...rest }) => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
const chunk = (body) => `data: ${JSON.stringify(body)}\n\n`
const stream = fewstep
  ? [event(start) + event(step), event(end)]
  : [chunk({ choices: [{ ...choice, text }] }), `${chunk({ choices: [], usage })}data: [DONE]\n\n`]
const models = { data: [fewstep ? { id: 'stub', steps: { default: 4 } } : { id: 'stub' }] }

let stallEnd = 0
let free = 0
let asked = 0
/** Calls back when an answer is due; false where none will be. */
function soon(answer) {
  const now = performance.now()
  if (++asked === options.stall?.request) stallEnd = now + options.stall.forMs
  if (options.serial) {
    if (free - now > options.mostWaiting * options.delayMs) return false
    free = Math.max(free, now) + options.delayMs
    setTimeout(answer, free - now)
  } else if (options.delayMs > 0) setTimeout(unlessStalled, options.delayMs, answer)
  else answer()
  return true
}

function unlessStalled(answer) {
  const rest = stallEnd - performance.now()
  if (rest > 0) setTimeout(answer, rest)
  else answer()
}

const refusal = {
  error: { message: 'The queue is full.', type: 'overloaded', param: null, code: 'overloaded' }
}

const server = createServer((request, response) => {
  if (request.url === '/asked') return response.end(`${asked}`)
  if (request.url === '/v1/models') return response.end(JSON.stringify(models))
  let body = ''
  request.setEncoding('utf8').on('data', (part) => (body += part))
  request.on('end', () => {
    const streams = body.includes('"stream":true')
    const taken = soon(() => {
      response.setHeader('content-type', streams ? 'text/event-stream' : 'application/json')
      if (streams) response.write(stream[0])
      response.end(streams ? stream[1] : whole)
    })
    if (!taken) response.writeHead(429).end(JSON.stringify(refusal))
  })
})
server.keepAliveTimeout = 60_000
const messages = [start, step, end].map((event) => JSON.stringify(event).slice(0, -1))
new WebSocketServer({ server, path: '/v1/stream', perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', (data) => {
    const { type, id } = JSON.parse(data)
    if (type === 'cancel') return
    const taken = soon(() => {
      for (const message of messages) socket.send(`${message},"id":"${id}"}`)
    })
    if (!taken) socket.send(JSON.stringify({ type: 'error', id, ...refusal }))
  })
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
