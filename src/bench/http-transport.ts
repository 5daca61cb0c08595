import { setTimeout as delay } from 'node:timers/promises'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { Agent } from 'undici'
import type { Completion } from '../answers.js'
import { DisconnectedError } from '../client/client.js'
import type { CompletionRequest } from '../schemas.js'
import { Refusal, refusalOf } from './refusal.js'
import type { ServerKind } from './served.js'
import { TextOfChunks, TextOfSteps } from './text-of-events.js'
import { type Reading, SLOW_READER_MS, type Transport, type Written } from './transport.js'

type Body = Awaited<ReturnType<Agent['request']>>['body']

/** Requests under way beyond these wait for a connection: opening ever more when a server falls behind would hold up the load generator itself. */
const CONNECTIONS = 1024

/**
 * `POST /v1/completions`, whole or as server-sent events: of fewstep with every step, of any other server as OpenAI's clients read it.
 * Over undici itself: one connection a text under way, kept open, and a fraction of what `fetch` costs.
 */
export function httpTransport(
  url: string,
  { key, kind, streams }: { key: string | null; kind: ServerKind; streams: boolean }
): Transport {
  const { origin } = new URL(url)
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connections: CONNECTIONS })
  const headers = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) }
  const streaming = streams && {
    stream: true,
    ...(kind === 'fewstep' ? { drafts: true } : { stream_options: { include_usage: true } })
  }
  const post = async (request: CompletionRequest, reading: Reading): Promise<Written> => {
    const sent = performance.now()
    const body = JSON.stringify({ ...request, ...streaming })
    const { signal, slow } = reading
    const answer = await agent.request({
      origin,
      path: '/v1/completions',
      method: 'POST',
      headers,
      body,
      signal
    })
    if (answer.statusCode !== 200) throw refusalOf(answer.statusCode, await answer.body.text())
    if (streams) return follow(answer.body, kind, slow)
    if (slow) await delay(SLOW_READER_MS)
    return whole((await answer.body.json()) as Completion, sent)
  }
  return {
    async write(request, reading) {
      try {
        return await post(request, reading)
      } catch (error) {
        if (error instanceof Refusal || error instanceof DisconnectedError) throw error
        throw new DisconnectedError('The server cannot be reached, or left.', { cause: error })
      }
    },
    close: () => agent.destroy()
  }
}

async function follow(body: Body, kind: ServerKind, slow: boolean): Promise<Written> {
  const [text, onEvent] = kind === 'fewstep' ? readSteps() : readChunks()
  const parser = createParser({ onEvent })
  const decoder = new TextDecoder()
  for await (const part of body) {
    parser.feed(decoder.decode(part, { stream: true }))
    if (slow) await delay(SLOW_READER_MS)
  }
  return text.written
}

type Reader<Text> = [Text, (event: EventSourceMessage) => void]

function readSteps(): Reader<TextOfSteps> {
  const text = new TextOfSteps()
  return [
    text,
    ({ event, data }) => {
      if (event === undefined) return // what OpenAI's clients read
      if (event === 'error') throw refusalOf(200, data)
      text.add(JSON.parse(data))
    }
  ]
}

function readChunks(): Reader<TextOfChunks> {
  const text = new TextOfChunks()
  return [text, ({ data }) => text.add(data)]
}

function whole({ choices, usage }: Completion, sent: number): Written {
  const { text, fewstep } = choices[0]!
  return {
    text,
    tokens: usage?.completion_tokens ?? null,
    steps: fewstep?.steps ?? null,
    timings: fewstep?.timings ?? null,
    firstStep: fewstep ? sent + fewstep.timings.first_step_ms : null,
    firstText: performance.now()
  }
}
