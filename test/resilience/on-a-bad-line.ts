/** Texts over whatever the network is; bad-network.resilience.ts runs this in a bad one, which BAD_LINE describes. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { post, startServer, TOYS } from '../integration/server-process.js'
import { atRest, each, textOf } from './server-watch.js'
import { trial } from './trial.js'

const TEXTS = 90
const request = (seed: number) => ({ model: 'toy-mixture', prompt: ' red', max_tokens: 200, steps: 50, seed })

async function streamedText(url: string, seed: number): Promise<string> {
  const events = await (await post(`${url}/v1/completions`, { ...request(seed), stream: true })).text()
  const data = events.match(/(?<=^data: ).*/gm)!
  if (data.pop() !== '[DONE]') throw new Error('the stream has no end')
  return data.map((line) => JSON.parse(line).choices[0]?.text ?? '').join('')
}

/** The text as its reveals make it. */
async function revealedText(url: string, seed: number): Promise<string> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'completion', id: 'a', request: request(seed) }))
  const revealed = new Map<number, string>()
  return new Promise((resolve, reject) => {
    socket.on('error', reject).on('close', () => reject(new Error('closed early')))
    socket.on('message', (data) => {
      const event = JSON.parse(String(data))
      if (event.type === 'error') reject(new Error(event.error.message))
      for (const { position, text } of event.reveals ?? []) revealed.set(position, text)
      if (event.type !== 'sequence-end') return
      socket.close()
      resolve(
        [...revealed]
          .sort(([a], [b]) => a - b)
          .map(([, text]) => text)
          .join('')
      )
    })
  })
}

trial(
  `texts over a network with ${process.env.BAD_LINE}: JSON, events, WebSocket`,
  'the same text by each way, from first to last letter',
  async (t) => {
    const { url } = await startServer(t, ...TOYS, '--max-text-tokens', '1000')
    const lost: string[] = []
    await each(Array(TEXTS / 3).keys(), 10, async (seed) => {
      const texts = await Promise.all([
        textOf(url, request(seed)),
        streamedText(url, seed),
        revealedText(url, seed)
      ])
      if (new Set(texts).size !== 1 || texts[0] === '') lost.push(texts.join(' | '))
    }).catch((error) => lost.push(String(error)))
    await atRest(url)
    return { times: TEXTS, lost }
  }
)
