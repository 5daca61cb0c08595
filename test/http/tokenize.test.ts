import t from 'tap'
import { build, post } from '../helper.js'

t.test('text becomes tokens and text again', async (t) => {
  const { app } = await build(t)
  const text = 'The cat <|endoftext|> sat 漢字 \u{1f600}'
  const { body } = await post(app, '/v1/tokenize', { text })
  t.equal(body.model, 'table')
  t.same(body.tokens.slice(0, 2), [464, 3797])
  t.same(body.texts.slice(0, 2), ['The', ' cat'])
  t.equal(body.texts.length, body.tokens.length)
  t.notOk(body.tokens.includes(50256))
  const back = await post(app, '/v1/detokenize', { model: 'gpt-3.5-turbo-instruct', tokens: body.tokens })
  t.same(back.body, { model: 'table', text })
  t.same((await post(app, '/v1/detokenize', { tokens: [] })).body.text, '')
})

t.test('what is no text, no token or too much is refused by name', async (t) => {
  const { app } = await build(t, { limits: { bodyLimit: 100_000 } })
  const refusals: [url: string, body: object, param: string, message: RegExp][] = [
    ['/v1/tokenize', {}, 'text', /expected a string .*, got nothing/],
    ['/v1/tokenize', { text: 3 }, 'text', /expected a string .*, got 3/],
    ['/v1/tokenize', { text: 'a'.repeat(20_000) }, 'text', /of at most 16384 characters, got "aaa/],
    ['/v1/tokenize', { text: 'a', model: 'x' }, 'model', /expected one of/],
    ['/v1/detokenize', { tokens: 'a' }, 'tokens', /expected an array of at most 16384 token ids, got "a"/],
    ['/v1/detokenize', { tokens: [-1] }, 'tokens[0]', /expected a token id, got -1/],
    ['/v1/detokenize', { tokens: [50257] }, 'tokens', /got 50257/]
  ]
  for (const [url, request, param, message] of refusals) {
    const { status, body } = await post(app, url, request)
    t.match({ status, ...body.error }, { status: param === 'model' ? 404 : 400, param, message })
  }
})
