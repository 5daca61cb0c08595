/** Writes one text over the public WebSocket and shows each position as it is revealed. */
const form = document.querySelector('#form')
const text = document.querySelector('#text')
const stop = document.querySelector('#stop')
const show = (id, value) => {
  document.getElementById(id).textContent = value
}

let socket
let startedAt = 0
let places = [] // one element a position of the hole
let firstPosition = 0
let steps = 0

async function listModels() {
  const { data } = await (await fetch('/v1/models')).json()
  form.model.replaceChildren(...data.map(({ id }) => new Option(id)))
}

/** Fields left empty are left to the server. */
function readRequest() {
  const request = {
    prompt: form.prompt.value,
    model: form.model.value,
    max_tokens: form.max_tokens.valueAsNumber
  }
  if (form.steps.value) request.steps = form.steps.valueAsNumber
  if (form.seed.value) request.seed = form.seed.valueAsNumber
  return request
}

function element(className, content) {
  const span = document.createElement('span')
  span.className = className
  span.textContent = content
  return span
}

function begin(event, { prompt }) {
  const [hole] = event.holes
  firstPosition = hole.start
  places = Array.from({ length: hole.length }, () => element('masked', ''))
  text.replaceChildren(element('given', prompt), ...places)
  show('step', `0 / ${event.steps}`)
  show('masked', hole.length)
  show('passes', event.passes)
  show('used-seed', event.seed)
}

function reveal(event) {
  for (const place of text.querySelectorAll('.new')) place.classList.remove('new')
  for (const { position, text, probability } of event.reveals) {
    const place = places[position - firstPosition]
    place.className = 'revealed new'
    place.textContent = text
    place.title = `${(probability * 100).toPrecision(3)} % at step ${event.step}`
    place.style.setProperty('--surprise', surprise(probability))
  }
  steps = event.of
  show('step', `${event.step} / ${steps}`)
  show('masked', event.masked)
  show('elapsed', seconds(performance.now() - startedAt))
}

/** What was written beyond the end of the text goes; characters made of several tokens come right. */
function end(event, { prompt }) {
  for (const place of places) place.classList.remove('new')
  let written = ''
  for (const place of places) {
    place.hidden = written.length >= event.text.length
    written += place.textContent
  }
  if (!written.startsWith(event.text)) text.replaceChildren(element('given', prompt), event.text)
  show('step', `${steps} / ${steps}`) // the last steps may have had nothing to reveal
  show('passes', event.timings.passes)
  show('elapsed', seconds(event.timings.total_ms))
  const rate = (event.usage.completion_tokens / event.timings.total_ms) * 1000
  finish(`Done: ${event.usage.completion_tokens} tokens, ${rate.toFixed(0)} a second.`)
}

/** From 0 (certain) to 1 (one in a thousand, or less). */
const surprise = (probability) => Math.min(1, -Math.log10(probability) / 3)
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`

function finish(message) {
  stop.disabled = true
  show('message', message)
  socket?.close()
  socket = undefined
}

function write() {
  finish('')
  const request = readRequest()
  startedAt = performance.now()
  const url = new URL('/v1/stream', location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  socket = new WebSocket(url)
  stop.disabled = false
  const events = {
    'sequence-start': (event) => begin(event, request),
    'step-end': reveal,
    'sequence-end': (event) => end(event, request),
    error: ({ error }) => finish(error.code === 'cancelled' ? 'Stopped.' : error.message)
  }
  socket.onopen = ({ target }) => target.send(JSON.stringify({ type: 'completion', id: 'text', request }))
  socket.onmessage = ({ data, target }) => {
    const event = JSON.parse(data)
    if (target === socket) events[event.type]?.(event)
  }
  socket.onclose = ({ target }) => {
    if (target === socket) finish('The connection was lost.')
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  write()
})
form.prompt.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
})
stop.addEventListener('click', () => socket?.send(JSON.stringify({ type: 'cancel', id: 'text' })))

await listModels().catch(() => show('message', 'The server does not answer.'))
