import OpenAI from 'openai'
import t from 'tap'
import { startServer, TOYS } from './server-process.js'

const { url } = await startServer(t, ...TOYS, '--alias', 'gpt-3.5-turbo-instruct=toy-mixture')
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
const request = { model: 'gpt-3.5-turbo-instruct', prompt: ' red', max_tokens: 8, seed: 7 }

t.test("OpenAI's client gets a completion", async (t) => {
  const completion = await client.completions.create({ ...request, n: 2, logprobs: 2, echo: true })
  t.equal(completion.object, 'text_completion')
  t.equal(completion.choices.length, 2)
  t.match(completion.choices[0]!.text, /^ red( red| green| blue){8}$/)
  t.equal(completion.choices[0]!.logprobs!.tokens!.length, 9)
  t.same(completion.usage, { prompt_tokens: 1, completion_tokens: 16, total_tokens: 17 })
})

t.test('its stream is append-only and adds up to the same text', async (t) => {
  const whole = await client.completions.create(request)
  const stream = await client.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true }
  })
  let text = ''
  let finish: string | null = null
  let tokens: number | undefined
  for await (const chunk of stream) {
    text += chunk.choices[0]?.text ?? ''
    finish = chunk.choices[0]?.finish_reason ?? finish
    tokens = chunk.usage?.completion_tokens ?? tokens
  }
  t.equal(text, whole.choices[0]!.text)
  t.equal(finish, 'length')
  t.equal(tokens, 8)
})

t.test('drafts do not disturb it', async (t) => {
  const whole = await client.completions.create(request)
  const drafting = { ...request, stream: true as const, drafts: true }
  let text = ''
  for await (const chunk of await client.completions.create(drafting)) text += chunk.choices?.[0]?.text ?? ''
  t.equal(text, whole.choices[0]!.text)
})

t.test('it sees refusals as its own typed errors', async (t) => {
  await t.rejects(client.completions.create({ ...request, model: 'gpt-4' }), {
    status: 404,
    code: 'model_not_found',
    param: 'model'
  })
  await t.rejects(client.completions.create({ ...request, max_tokens: -1 }), {
    status: 400,
    code: 'invalid_request',
    param: 'max_tokens'
  })
  await t.rejects(client.completions.create({ ...request, presence_penalty: 1 }), {
    status: 400,
    code: 'unsupported_parameter',
    param: 'presence_penalty'
  })
})

t.test('it lists and retrieves models', async (t) => {
  const names: string[] = []
  for await (const model of client.models.list()) names.push(model.id)
  t.ok(names.includes('toy-mixture') && names.includes('toy-product'))
  t.equal((await client.models.retrieve('toy-product')).object, 'model')
})
