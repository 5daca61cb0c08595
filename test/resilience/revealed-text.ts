import { once } from 'node:events'
import { WebSocket } from 'ws'

/** The text that a completion gets over a WebSocket, as its reveals make it. */
export async function revealedText(url: string, request: object): Promise<string> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'completion', id: 'a', request }))
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
