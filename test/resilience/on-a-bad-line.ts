/** Texts over whatever the network is; bad-network.resilience.ts runs this in a bad one, which BAD_LINE describes. */

import { startServer, TOYS } from '../integration/server-process.js'
import { connection } from './connection.js'
import { revealedText } from './revealed-text.js'
import { atRest, each, textOf } from './server-watch.js'
import { streamedText } from './streamed-text.js'
import { trial } from './trial.js'

const TEXTS = 90
const [listens, reached] = process.argv.slice(2) as [string, string]
const request = (seed: number) => ({ model: 'toy-mixture', prompt: ' red', max_tokens: 200, steps: 50, seed })

/** Round trips, from making connections. */
async function roundTripsMs(url: string): Promise<number[]> {
  const trips: number[] = []
  for (let i = 0; i < 50; i++) {
    const begun = performance.now()
    const socket = await connection(url)
    trips.push(performance.now() - begun)
    socket.destroy()
  }
  return trips.sort((a, b) => a - b).map(Math.round)
}

trial(
  `texts over a network with ${process.env.BAD_LINE}: JSON, events, WebSocket`,
  'the same text by each way, from first to last letter',
  async (t) => {
    const server = await startServer(t, ...TOYS, '--max-text-tokens', '1000', '--host', listens)
    const url = server.url.replace(listens, reached)
    const trips = await roundTripsMs(url)
    const lost: string[] = []
    await each(Array(TEXTS / 3).keys(), 10, async (seed) => {
      const texts = await Promise.all([
        textOf(url, request(seed)),
        streamedText(url, request(seed)),
        revealedText(url, request(seed))
      ])
      if (new Set(texts).size !== 1 || texts[0] === '') lost.push(texts.join(' | '))
    }).catch((error) => lost.push(String(error)))
    await atRest(url)
    const note = `round trip ${trips[25]} ms in the middle, ${trips[5]} to ${trips[44]} ms in 8 of 10 cases`
    return { times: TEXTS, lost, note }
  }
)
