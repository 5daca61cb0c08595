import { connected } from './server-address.js'

export interface ServerSentEvent {
  readonly event: string
  readonly data: string
}

/** Reads server-sent events as they come; comments, which keep a connection open, are left out. */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  signal?: AbortSignal
): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await connected(reader.read(), signal)
      if (done) return
      const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = blocks.pop()!
      for (const block of blocks) {
        const data = field(block, 'data')
        if (data !== undefined) yield { event: field(block, 'event') ?? 'message', data }
      }
    }
  } finally {
    reader.cancel().catch(() => {}) // lets go of the connection, which frees the text's place
  }
}

function field(block: string, name: string): string | undefined {
  const line = block.split('\n').find((line) => line.startsWith(`${name}: `))
  return line?.slice(name.length + 2)
}
