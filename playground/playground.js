/** The page: what is asked for, what comes, and what is shown of it. */
import { DisconnectedError, FewstepClient, FewstepError } from './client/client.js'
import { languages } from './code.js'
import { explainDetails, showDetails } from './details.js'
import { byId, element } from './element.js'
import { HoleEditor } from './hole-editor.js'
import { Lane } from './lane.js'
import { fromFragment, toFragment } from './link.js'
import { LiveStrip } from './live.js'
import { announce, notify } from './notice.js'
import { Player } from './player.js'
import { clearRefusals, readSettings, refuse, writeSettings } from './settings.js'

/** A text shows itself within so long, when the server is quick; a slow one is shown as it comes. */
const PATIENCE_MS = 300
/** How long a text is to watch: the server is far quicker than the eye. */
const WATCH_MS = 3500
const RACE_MS = 6000
const LONGEST_STEP_MS = 450
const LEAD_MS = 250
const RETRIES = 60

const lanes = ['A', 'B'].map(
  (name) => new Lane(document.querySelector(`.lane[data-lane="${name}"]`), showDetails)
)
const player = new Player(drawMoment)
const editor = new HoleEditor({ onChange: preview, onReroll: (hole) => perform(() => fill(hole)) })
let client = new FewstepClient(location.origin, { retries: RETRIES })
let stream = client.stream()
let work
let usedSeed

const modes = {
  write: { label: 'Write', run: write },
  fill: { label: 'Fill the holes', run: () => fill() },
  race: { label: 'Race', run: race }
}

// --- what is asked for ---

/** The settings that every request has. */
function sampling({ model, steps, temperature, top_p, seed }) {
  return { model, steps, temperature, top_p, seed }
}

function completionOf(settings) {
  const { prompt, suffix, max_tokens } = settings
  return { prompt, ...(suffix ? { suffix } : {}), max_tokens, ...sampling(settings) }
}

/** The template of the editor; holes that stay are sent as their tokens. */
function infillOf(settings, stays) {
  const template = editor.pieces.map((piece) => {
    if (typeof piece === 'string') return piece
    return stays(piece) ? piece.tokens : { mask: piece.length }
  })
  return { template, ...sampling(settings) }
}

const kept = ({ kept, tokens }) => kept && tokens !== undefined

// --- what is done ---

async function write() {
  const settings = readSettings()
  const pieces = [settings.prompt, null, ...(settings.suffix ? [settings.suffix] : [])]
  const request = { ...completionOf(settings), logprobs: 5 }
  await play([{ lane: lanes[0], events: stream.complete(request, options()), pieces }])
}

/** @param only the one hole to fill anew; all that are not kept unless given */
async function fill(only) {
  const stays = (hole) => hole.tokens !== undefined && (only ? hole !== only : hole.kept)
  const { pieces } = editor
  const settings = readSettings()
  const request = { ...infillOf(only ? { ...settings, seed: undefined } : settings, stays), alternatives: 5 }
  const shown = pieces.map((piece) => {
    if (typeof piece === 'string') return piece
    return stays(piece) ? { kept: piece.text } : null
  })
  const [lane] = lanes
  await play([{ lane, events: stream.infill(request, options()), pieces: shown, whole: true }], () => {
    const filled = lane.timeline.segments.filter(({ places }) => places)
    for (const hole of pieces.filter((piece) => typeof piece !== 'string' && !stays(piece))) {
      const { places } = filled.shift()
      hole.tokens = places.map(({ reveal }) => reveal.token)
      hole.text = places.map(({ text }) => text).join('')
    }
    editor.refresh()
  })
}

async function race() {
  const settings = readSettings()
  const seed = settings.seed ?? Math.floor(Math.random() * 2 ** 32)
  const pieces = [settings.prompt, null, ...(settings.suffix ? [settings.suffix] : [])]
  const rival = { ...settings, model: settings.rival, steps: settings.rival_steps }
  const runners = [settings, rival].map((own, i) => {
    const request = { ...completionOf(own), seed, logprobs: 5 }
    return { lane: lanes[i], events: stream.complete(request, options()), pieces, rival: i === 1 }
  })
  await play(runners)
}

/** Records the texts, and shows them at a speed for eyes. */
async function play(runners, onEnd = () => {}) {
  for (const { lane } of runners) lane.timeline = undefined
  const recorded = Promise.all(
    runners.map(({ lane, events, rival, ...shape }) =>
      lane
        .record(events, shape, () => notify(''))
        .catch((error) => {
          throw Object.assign(error, { rival })
        })
    )
  )
  await Promise.race([recorded, wait(PATIENCE_MS)])
  while (runners.some(({ lane }) => !lane.timeline)) await Promise.race([recorded, wait(20)])
  schedule(runners.map(({ lane }) => lane))
  await recorded
  player.finish()
  onEnd()
  for (const { lane } of runners) lane.settle()
  usedSeed = runners[0].lane.timeline.start.seed
  player.refresh()
  share()
  announceEnd(runners.map(({ lane }) => lane.timeline))
}

let drawn = { lanes: [] }

/** One text goes step by step; a race by the clock, slowed down alike for both. */
function schedule(running) {
  for (const lane of running) lane.lay()
  drawn = { lanes: running }
  byId('scrubber').disabled = byId('play').disabled = false
  if (running.length > 1) {
    const slow = Math.max(1, RACE_MS / Math.max(...running.map(expectedMs)))
    drawn.slow = slow
    const times = () =>
      [
        ...new Set(
          running.flatMap(({ timeline: { frames, endedAt } }) => [
            ...frames.map(({ at }) => at),
            ...(endedAt ? [endedAt] : [])
          ])
        )
      ]
        .sort((a, b) => a - b)
        .map((at) => at * slow)
    player.start(times, () => Infinity)
    return
  }
  const [{ timeline }] = running
  const everyMs = Math.min(LONGEST_STEP_MS, WATCH_MS / timeline.start.passes)
  const times = () => timeline.frames.map((_, i) => LEAD_MS + i * everyMs)
  player.start(times, () => LEAD_MS + timeline.frames.length * everyMs)
}

/** How long a text takes, from what it took so far. */
function expectedMs({ timeline: { start, frames, endedAt } }) {
  return endedAt ?? ((frames.at(-1)?.at ?? PATIENCE_MS) * start.passes) / Math.max(1, frames.length)
}

function drawMoment({ now, moment, moments, playing }) {
  const { slow } = drawn
  for (const lane of drawn.lanes) lane.show(slow ? { ms: now / slow } : { frames: moment })
  const scrubber = byId('scrubber')
  scrubber.max = moments
  scrubber.value = moment
  scrubber.setAttribute(
    'aria-valuetext',
    slow ? `${Math.round(now / slow)} ms` : `step ${moment} of ${moments}`
  )
  byId('moment').textContent = slow
    ? slow > 1.5
      ? `${slow.toFixed(0)}× slower`
      : 'real time'
    : `${moment} / ${moments}`
  byId('play').textContent = playing ? 'Pause' : 'Play'
  if (slow) crown(now / slow)
}

/** Marks who was first, once that is shown. */
function crown(ms) {
  const times = drawn.lanes.map(({ timeline }) => timeline.endedAt ?? Infinity)
  const best = Math.min(...times)
  document.querySelectorAll('.lane').forEach((lane, i) => {
    lane.classList.toggle('first', ms >= best && times[i] === best)
  })
}

function announceEnd(timelines) {
  const tell = ({ start, end, endedAt }) =>
    `${start.model}: ${end.usage.completion_tokens} tokens in ${Math.round(endedAt)} milliseconds, ${end.timings.passes} passes. ${end.text}`
  announce(timelines.map(tell).join(' '))
}

// --- how it goes ---

async function perform(run) {
  work?.abort()
  const own = new AbortController()
  work = own
  clearRefusals()
  notify('')
  announce('Writing.')
  document.querySelector('.first')?.classList.remove('first')
  byId('stop').hidden = false
  document.body.classList.add('busy')
  try {
    await run()
    notify('')
  } catch (error) {
    if (own.signal.aborted) {
      if (work === own) notify('Stopped.')
    } else fail(error)
  } finally {
    if (work === own) {
      byId('stop').hidden = true
      document.body.classList.remove('busy')
      player.finish()
    }
  }
}

function options() {
  return { signal: work.signal, onRetry }
}

const waits = {
  overloaded: 'The server is full.',
  loading: 'The models are loading.',
  draining: 'The server is shutting down.'
}

function onRetry({ error, afterMs }) {
  const text =
    error instanceof DisconnectedError ? 'The connection was lost.' : (waits[error.code] ?? error.message)
  notify(text, afterMs)
}

function fail(error) {
  work.abort()
  if (error instanceof FewstepError && error.error.code === 'unauthenticated') return askForKey()
  if (!(error instanceof FewstepError) && !(error instanceof DisconnectedError)) throw error
  notify(refuse(error.param, error.message, error.rival) ? '' : error.message)
}

function askForKey() {
  byId('key-title').textContent = byId('key').value
    ? 'The server does not know that key'
    : 'This server wants a key'
  byId('key-dialog').showModal()
}

byId('key-dialog').addEventListener('close', async () => {
  const apiKey = byId('key').value
  if (!apiKey) return
  client = new FewstepClient(location.origin, { retries: RETRIES, apiKey })
  live.useKey(apiKey)
  stream.close()
  stream = client.stream()
  notify('')
  await listModels()
})

// --- what is set ---

function preview() {
  const settings = readSettings()
  document.body.dataset.mode = settings.mode
  byId('go').textContent = modes[settings.mode].label
  for (const part of document.querySelectorAll('[data-for]')) {
    part.hidden = !part.dataset.for.split(' ').includes(settings.mode)
  }
  work?.abort()
  player.pause()
  drawn = { lanes: [] }
  byId('scrubber').disabled = byId('play').disabled = true
  const length = Math.min(1024, Math.max(0, settings.max_tokens ?? 128))
  const pieces =
    settings.mode === 'fill'
      ? editor.pieces.map((piece) => (typeof piece === 'string' ? piece : piece.length))
      : [settings.prompt, length, settings.suffix]
  for (const lane of settings.mode === 'race' ? lanes : [lanes[0]]) lane.preview(pieces)
  usedSeed = undefined
  explainDetails()
  showCode()
}

function showCode() {
  const settings = { ...readSettings(), ...(usedSeed === undefined ? {} : { seed: usedSeed }) }
  const kind = settings.mode === 'fill' ? 'infill' : 'completion'
  const request = kind === 'infill' ? infillOf(settings, kept) : completionOf(settings)
  const path = kind === 'infill' ? '/v1/infill' : '/v1/completions'
  byId('source').textContent = languages[byId('language').value]({
    origin: location.origin,
    path,
    kind,
    request
  })
}

/** The address now leads to this text. */
function share() {
  const { mode, ...settings } = readSettings()
  const seed = settings.seed ?? usedSeed
  const shared = { mode, ...settings, seed }
  if (mode === 'fill') {
    shared.template = editor.pieces.map((piece) =>
      typeof piece === 'string' ? piece : { mask: piece.length }
    )
    delete shared.prompt
    delete shared.suffix
  }
  history.replaceState(null, '', toFragment(shared))
  showCode()
}

async function copy(text, button) {
  const label = button.textContent
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'Not allowed'
  }
  setTimeout(() => {
    button.textContent = label
  }, 1200)
}

async function listModels() {
  try {
    const models = await client.models({ onRetry })
    notify('')
    const select = (id, chosen) => {
      const options = models.map(({ id }) => element('option', { value: id, textContent: id }))
      byId(id).replaceChildren(...options)
      byId(id).value = (models.find(chosen) ?? models.at(-1)).id
    }
    const { model, rival } = fromFragment(location.hash)
    select('model', ({ id }) => id === (model ?? models[0].id))
    select('rival', ({ id }) => id === (rival ?? models[0].teacher ?? models.at(-1).id))
    const hint = (id, field) => {
      byId(field).placeholder = models.find((known) => known.id === byId(id).value).steps.default
    }
    const hints = () => [hint('model', 'steps'), hint('rival', 'rival_steps')]
    byId('model').onchange = byId('rival').onchange = hints
    hints()
    showCode()
  } catch (error) {
    if (error instanceof FewstepError && error.error.code === 'unauthenticated') askForKey()
    else notify(error.message)
  }
}

// --- the page comes alive ---

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

byId('form').addEventListener('submit', (event) => {
  event.preventDefault()
  perform(modes[readSettings().mode].run)
})
byId('form').noValidate = true // the server says what is wrong, and where
byId('form').addEventListener('input', (event) => {
  if (event.target.closest('#holes, #template')) return
  preview()
})
document.querySelectorAll('[name=mode]').forEach((mode) => {
  mode.addEventListener('change', preview)
})
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId('form').requestSubmit()
  if (event.key === 'Escape') work?.abort()
})
byId('stop').addEventListener('click', () => work.abort())
byId('play').addEventListener('click', () => player.toggle())
byId('scrubber').addEventListener('input', () => player.seek(byId('scrubber').valueAsNumber))
byId('speed').addEventListener('change', () => {
  player.speed = Number(byId('speed').value)
})
byId('language').replaceChildren(
  ...Object.keys(languages).map((name) => element('option', { textContent: name }))
)
byId('language').addEventListener('change', showCode)
byId('copy').addEventListener('click', ({ target }) => copy(byId('source').textContent, target))
byId('share').addEventListener('click', ({ target }) => {
  share()
  copy(location.href, target)
})

const linked = fromFragment(location.hash)
writeSettings(linked)
editor.template = linked.template ?? [
  'Lily had a little',
  { mask: 3 },
  '. One day,',
  { mask: 10 },
  ' They were very happy.'
]
await listModels()
const live = new LiveStrip(({ state, queue, batch, passes }) => {
  const named = { ready: 'ready', loading: 'loading', draining: 'draining', unreachable: 'disconnected' }
  byId('live-state').textContent = named[state] ?? state
  byId('live-state').dataset.state = state
  if (queue === undefined) return
  byId('live-queue').textContent = queue
  byId('live-batch').textContent = batch.toFixed(1)
  byId('live-passes').textContent = passes.toFixed(0)
})
