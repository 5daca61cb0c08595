/** A request as code to copy, each ready to run. */
const indent = (value) => JSON.stringify(value, null, 2)
const quoted = (value) => `'${JSON.stringify(value).replaceAll("'", `'\\''`)}'`

function curl({ origin, path, request }) {
  return `curl ${origin}${path} -H 'content-type: application/json' \\\n  -d ${quoted(request)}`
}

function typescript({ origin, kind, request }) {
  const method = kind === 'infill' ? 'infill' : 'complete'
  return `import { FewstepClient } from 'fewstep/client'

const client = new FewstepClient('${origin}')
const request = ${indent(request)}
for await (const event of client.${method}(request)) {
  if (event.type === 'step-end') console.log(event.step, event.reveals.map(({ text }) => text))
  if (event.type === 'sequence-end') console.log(event.text)
}`
}

function ws({ origin, kind, request }) {
  return `import { WebSocket } from 'ws'

const request = ${indent(request)}
const socket = new WebSocket('${origin.replace('http', 'ws')}/v1/stream')
socket.on('open', () => socket.send(JSON.stringify({ type: '${kind}', id: 'a', request })))
socket.on('message', (data) => {
  const event = JSON.parse(data.toString())
  console.log(event)
  if (event.type === 'sequence-end' || event.type === 'error') socket.close()
})`
}

function openai({ origin, kind, request }) {
  if (kind === 'infill') return '// OpenAI has no infill: take the TypeScript client.'
  const { steps, top_k, ...known } = request
  const extra = steps === undefined ? '' : ' // steps is fewstep’s own'
  return `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: 'none' })
const request = ${indent({ ...known, ...(steps === undefined ? {} : { steps }) })}${extra}
const { choices } = await client.completions.create(request)
console.log(choices[0].text)`
}

function python({ origin, path, request }) {
  return `import json
import urllib.request

request = json.loads(r"""${indent(request)}""")
answer = urllib.request.urlopen(urllib.request.Request(
    "${origin}${path}",
    data=json.dumps(request).encode(),
    headers={"content-type": "application/json"},
))
print(json.load(answer)${path.endsWith('infill') ? '["text"]' : '["choices"][0]["text"]'})`
}

/** By the name that people choose. */
export const languages = {
  curl,
  TypeScript: typescript,
  'TypeScript, ws': ws,
  'TypeScript, openai': openai,
  Python: python
}
