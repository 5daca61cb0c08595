/** A server that is asked for more than it can write: what it says of when to come back, and who gets through. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { randomFrom } from '../../src/bench/random.js'
import { startServer } from '../integration/server-process.js'
import { SEED } from './seed.js'
import { watched } from './server-watch.js'
import { trial } from './trial.js'

const ROUNDS = 60
/** Of the time that a refusal tells: what comes so much earlier is refused again, what comes so much later is taken. */
const WITHIN = 0.25
/** Shorter waits are lost in the way there and back. */
const LEAST_MS = 80
/** A machine that does other things, too, makes passes longer than they were expected to be. */
const TRUE_SHARE = 0.8
const flags = ['--max-queue', '12', '--max-socket-sequences', '1000', '--log-level', 'error']

/** Undefined where the text is accepted, else when to come back. */
type Told = { readonly retryAfterMs: number; readonly answeredMs: number } | undefined

/** Asks for texts over one WebSocket; what is accepted is written, and not waited for. */
async function asker(url: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
  await once(socket, 'open')
  socket.setMaxListeners(1000)
  let asked = 0
  const ask = (request: object): Promise<Told> => {
    const id = String(asked++)
    const begun = performance.now()
    socket.send(JSON.stringify({ type: 'infill', id, request: { ...request, seed: asked } }))
    return new Promise((resolve) => {
      const hear = (data: Buffer) => {
        const event = JSON.parse(String(data))
        if (event.id !== id) return
        socket.off('message', hear)
        const answeredMs = performance.now() - begun
        resolve(event.type === 'error' ? { retryAfterMs: event.retry_after_ms, answeredMs } : undefined)
      }
      socket.on('message', hear)
    })
  }
  return { ask, socket }
}

const random = randomFrom(SEED)
const draw = (from: number, to: number) => from + Math.floor((to - from + 1) * random())
/** A hole is filled to its end: a completion may end early, which nobody can know. */
const anyText = () => ({ template: ['Once upon a time', { mask: draw(32, 160) }], steps: draw(4, 16) })

trial(
  `a full server (12 texts of 32 to 160 tokens wait, 4 to 16 steps) tells when to come back, ${ROUNDS} times`,
  `refused at once; who comes back at ${100 - 100 * WITHIN} % of the time is refused, at ${100 + 100 * WITHIN} % is taken: ${100 * TRUE_SHARE} % of them`,
  async (t) => {
    const { url } = await startServer(t, '--model', 'student', '--device', 'cpu', ...flags)
    const lost: string[] = []
    const answers: number[] = []
    const falseOnes: string[] = []
    let told = 0
    let tries = 0
    const health = await watched(url, async () => {
      const { ask, socket } = await asker(url)
      while (told < ROUNDS && tries++ < 5 * ROUNDS) {
        const refusal = await ask(anyText())
        if (!refusal) continue
        answers.push(refusal.answeredMs)
        const { retryAfterMs } = refusal
        if (retryAfterMs < LEAST_MS) {
          await setTimeout(retryAfterMs)
          continue
        }
        told++
        const begun = performance.now()
        await setTimeout((1 - WITHIN) * retryAfterMs)
        if (!(await ask(anyText()))) falseOnes.push(`${retryAfterMs} ms: taken early`)
        else {
          await setTimeout(begun + (1 + WITHIN) * retryAfterMs - performance.now())
          if (await ask(anyText())) falseOnes.push(`${retryAfterMs} ms: refused late`)
        }
      }
      socket.terminate()
    })
    if (told < ROUNDS) lost.push(`only ${told} refusals`)
    if (falseOnes.length > (1 - TRUE_SHARE) * told) lost.push(...falseOnes)
    const slowest = Math.max(...answers)
    if (slowest > 500) lost.push(`a refusal took ${slowest} ms`)
    const share = Math.round((100 * (told - falseOnes.length)) / told)
    const note = `${share} % true; refused within ${Math.round(slowest)} ms`
    return { times: told, lost: [...lost, ...health.lost], note }
  }
)
