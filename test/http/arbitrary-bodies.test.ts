import fc from 'fast-check'
import t from 'tap'
import { build, listen, post, Socket } from '../helper.js'

/** Fields that exist, with values that may fit them; and anything else. */
const value = fc.oneof(
  fc.jsonValue(),
  fc.integer({ min: -2, max: 200 }),
  fc.constantFrom('', ' red', '\ud800', '<|endoftext|>', 'table', 'gpt-4', 0.5, true, null),
  fc.array(fc.oneof(fc.string(), fc.integer({ min: -1, max: 60_000 }), fc.constant({ mask: 3 })), {
    maxLength: 4
  })
)
const fieldsOf = (...names: string[]) =>
  fc.dictionary(
    fc.oneof({ arbitrary: fc.constantFrom(...names), weight: 9 }, { arbitrary: fc.string(), weight: 1 }),
    value,
    {
      maxKeys: 4
    }
  )
const sampling = ['model', 'steps', 'temperature', 'top_p', 'top_k', 'seed', 'deadline_ms', 'user']
const completion = [
  'prompt',
  'suffix',
  'max_tokens',
  'n',
  'best_of',
  'echo',
  'logprobs',
  'stop',
  'stream_options',
  'drafts',
  'logit_bias',
  'frequency_penalty'
]
const template = fc.array(fc.oneof(fc.string(), fc.constant({ mask: 3 }), value), { maxLength: 4 })
const bodies = {
  '/v1/completions': fieldsOf(...sampling, ...completion),
  '/v1/infill': fc
    .tuple(fieldsOf(...sampling, 'alternatives'), template)
    .map(([fields, template]) => ({ ...fields, template })),
  '/v1/tokenize': fieldsOf('model', 'text'),
  '/v1/detokenize': fc.oneof(
    fc.record({ tokens: fc.array(fc.integer({ min: 0, max: 60_000 })) }),
    fieldsOf('model', 'tokens')
  )
}

for (const [url, body] of Object.entries(bodies)) {
  t.test(`no body makes ${url} fail`, async (t) => {
    const { app, scheduler } = await build(t)
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(fc.oneof(body, fc.jsonValue()), async (request) => {
        const { status, body } = await post(app, url, request)
        if (status === 200) accepted++
        else if (status >= 500 || typeof body.error.message !== 'string') throw new Error(`${status}`)
      }),
      { numRuns: 300, seed: 1 }
    )
    t.ok(accepted > 0, `${accepted} were accepted`)
    t.equal(scheduler.stats.running, 0)
  })
}

t.test('no message closes a socket', async (t) => {
  const { app } = await build(t)
  const socket = await Socket.open(t, await listen(app))
  const types = fc.constantFrom('completion', 'infill', 'cancel', 'snapshot', 'x')
  const id = fc.oneof(fc.constantFrom('a', 'b'), value)
  const request = fc.oneof(...Object.values(bodies), value)
  const message = fc.oneof(
    fc.record({ type: types, id, request }, { requiredKeys: ['type'] }),
    fc.jsonValue()
  )
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.oneof(message, fc.string()), async (message) => {
      socket.send(message)
      const last = `last ${round++}`
      socket.send({ type: 'cancel', id: last })
      await socket.readUntil(({ type, error }) => type === 'error' && error.message.includes(last))
    }),
    { numRuns: 300, seed: 1 }
  )
  t.equal(socket.ws.readyState, socket.ws.OPEN)
})
