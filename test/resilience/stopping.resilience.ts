/** A server that is told to stop while it is busy. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { randomFrom } from '../../src/bench/random.js'
import { startServer, TOYS } from '../integration/server-process.js'
import { revealedText } from './revealed-text.js'
import { SEED } from './seed.js'
import { textOf } from './server-watch.js'
import { streamedText } from './streamed-text.js'
import { trial } from './trial.js'

/** A pass takes few texts, so that some wait. */
const flags = [...TOYS, '--max-batch-tokens', '64', '--max-text-tokens', '1000', '--log-level', 'error']
const request = { model: 'toy-mixture', prompt: ' red', max_tokens: 300, steps: 300, seed: 5 }
const CLIENTS = 12
const ROUNDS = 10

const ways = [textOf, streamedText, revealedText]

trial(
  `SIGTERM while ${CLIENTS} clients ask, some of whom wait: JSON, events, WebSocket`,
  'who is accepted gets the text, others are told that the server stops; it ends with 0',
  async (t) => {
    const random = randomFrom(SEED)
    const lost: string[] = []
    let expected: string | undefined
    let finished = 0
    let told = 0
    for (let round = 0; round < ROUNDS; round++) {
      const { url, child } = await startServer(t, ...flags)
      expected ??= await textOf(url, request)
      let stopping = false
      const ask = async (way: (typeof ways)[number]) => {
        for (let late = false; !late; ) {
          late = stopping
          const text = await way(url, request).catch((error: Error) => `${error} ${error.cause ?? ''}`)
          if (text === expected) finished += Number(stopping)
          else if (/is shutting down|response: 503/.test(text)) told++
          // Who comes late may find the port closed.
          else if (!late || !/ECONN|hang up|closed/.test(text)) lost.push(text)
        }
      }
      const asked = Promise.all(Array.from({ length: CLIENTS }, (_, n) => ask(ways[n % ways.length]!)))
      await setTimeout(200 + 1000 * random())
      stopping = true
      child.kill('SIGTERM')
      const [code] = await once(child, 'exit')
      if (code !== 0) lost.push(`ended with ${code}`)
      await asked
    }
    t.ok(told > 0, 'some came too late')
    t.ok(finished > ROUNDS, 'some were under way')
    return {
      times: ROUNDS,
      lost,
      note: `${finished} texts were finished after the signal, ${told} requests were told`
    }
  }
)
