import { once } from 'node:events'
import { WebSocket } from 'ws'

/** A text that is being written: which replica writes it, and how it comes out. */
export interface Writing {
  readonly kind: 'events' | 'socket'
  readonly replica: string
  /** Bytes or messages that have come so far. */
  readonly received: number
  /** Resolves when nothing more comes: `whole`, or why it is not. */
  readonly end: Promise<string>
  /** Wants no more of it. */
  leave(): void
}

const post = (url: string, request: object, signal: AbortSignal | null = null) =>
  fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
    signal
  })

/** Begins a stream of server-sent events, one a step; the replica is known as soon as it is accepted. */
export async function beginEvents(url: string, request: object): Promise<Writing> {
  const client = new AbortController()
  const answer = await post(url, { ...request, stream: true, drafts: true }, client.signal)
  const writing = { kind: 'events' as const, replica: servedBy(answer), received: 0 }
  const read = async () => {
    let text = ''
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      writing.received += chunk.length
      text = (text + chunk).slice(-1000)
    }
    return text.endsWith('data: [DONE]\n\n') ? 'whole' : text
  }
  return Object.assign(writing, { end: read().catch(String), leave: () => client.abort() })
}

/** Begins a text over a WebSocket of its own; resolves when it is accepted. */
export async function beginSocket(url: string, request: object): Promise<Writing> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
  const upgraded = once(socket, 'upgrade')
  await once(socket, 'open')
  const [{ headers }] = await upgraded
  const writing = { kind: 'socket' as const, replica: headers['x-served-by'], received: 0 }
  const end = new Promise<string>((resolve) => {
    socket.on('message', (message) => {
      writing.received++
      const { type } = JSON.parse(String(message))
      if (type !== 'sequence-end' && type !== 'error') return
      resolve(type === 'sequence-end' ? 'whole' : String(message))
      socket.close()
    })
    socket.on('close', (code, reason) => resolve(`closed: ${code} ${reason}`))
    socket.on('error', ({ message }) => resolve(message))
  })
  socket.send(JSON.stringify({ type: 'completion', id: 'a', request }))
  await once(socket, 'message') // it is accepted
  return Object.assign(writing, { end, leave: () => socket.terminate() })
}

/** Asks for a whole text; gives the status, or what went wrong, and who wrote it. */
export async function write(url: string, request: object): Promise<{ status: string; replica: string }> {
  try {
    const answer = await post(url, request)
    const body = await answer.text()
    return { status: answer.ok ? '200' : `${answer.status}: ${body}`, replica: servedBy(answer) }
  } catch (error) {
    return { status: String(error), replica: 'none' }
  }
}

const servedBy = ({ headers }: Response) => headers.get('x-served-by') ?? 'none'
