import { post } from '../integration/server-process.js'

/** The text that a completion gets as server-sent events, as its deltas make it. */
export async function streamedText(url: string, request: object): Promise<string> {
  const events = await (await post(`${url}/v1/completions`, { ...request, stream: true })).text()
  const data = events.match(/(?<=^data: ).*/gm) ?? []
  if (data.pop() !== '[DONE]') throw new Error(`the stream has no end: ${events.slice(-200)}`)
  return data.map((line) => JSON.parse(line).choices?.[0]?.text ?? '').join('')
}
