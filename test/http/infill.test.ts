import t from 'tap'
import { build, parseEvents, post, tokenizer } from '../helper.js'
import { lawsOf, TOKENS } from '../table-denoiser.js'

const url = '/v1/infill'

t.test('each hole is filled exactly, and each of its tokens says when it was revealed', async (t) => {
  const { app } = await build(t)
  const template = ['Once ', { mask: 4 }, ' and ', { mask: 2 }, ' the end.']
  const { status, body } = await post(app, url, { template, seed: 2, steps: 3, alternatives: 2 })
  t.equal(status, 200)
  t.match(body, {
    id: /^infill-/,
    object: 'infill',
    model: 'table',
    text: /^Once ( red| green| blue){4} and ( red| green| blue){2} the end\.$/,
    finish_reason: 'length',
    usage: { completion_tokens: 6 },
    seed: 2,
    steps: 3,
    temperature: 1
  })
  t.match(body.holes, [{ length: 4 }, { length: 2 }])
  t.equal(body.text, `Once ${body.holes[0].text} and ${body.holes[1].text} the end.`)
  for (const { start, length, text, tokens } of body.holes) {
    t.same(
      tokens.map(({ position }: { position: number }) => position),
      Array.from({ length }, (_, i) => start + i)
    )
    t.equal(tokens.map((token: { text: string }) => token.text).join(''), text)
    for (const { step, probability, token, alternatives } of tokens) {
      t.ok(step >= 1 && step <= 3)
      t.ok(probability > 0 && probability <= 1)
      t.equal(alternatives.length, 2)
      t.ok([2266, 4077, 4171].includes(token))
    }
  }
  t.same((await post(app, url, { template, seed: 2, steps: 3, alternatives: 2 })).body.holes, body.holes)
})

t.test('text may be given as tokens, and holes may touch', async (t) => {
  const { app } = await build(t)
  const { body } = await post(app, url, { template: [tokenizer.encode('Once'), { mask: 1 }, { mask: 2 }] })
  t.match(body.text, /^Once( red| green| blue){3}$/)
  t.match(body.holes, [
    { start: 1, length: 1 },
    { start: 2, length: 2 }
  ])
})

t.test('a stream tells the events and nothing else', async (t) => {
  const { app } = await build(t)
  const payload = { template: ['Once ', { mask: 8 }], seed: 2, stream: true }
  const events = parseEvents((await app.inject({ method: 'POST', url, payload })).body)
  t.equal(events[0]!.event, 'sequence-start')
  t.equal(events.at(-1)!.event, 'sequence-end')
  t.ok(events.slice(1, -1).every(({ event }) => event === 'step-end'))
  for (const { event, data } of events) t.equal(JSON.parse(data).type, event)
  t.notOk('holes' in JSON.parse(events.at(-1)!.data))
})

t.test('the step of a token is that of the event which told it, and several differ', async (t) => {
  const { app } = await build(t)
  const request = { template: ['Once ', { mask: 8 }], seed: 2, steps: 4, alternatives: 1 }
  const { body } = await app.inject({ method: 'POST', url, payload: { ...request, stream: true } })
  const steps = parseEvents(body)
    .slice(1, -1)
    .map(({ data }) => JSON.parse(data))
  for (const { step, reveals } of steps) for (const reveal of reveals) t.equal(reveal.step, step)
  t.ok(steps.length > 2)
  const told = steps.flatMap(({ reveals }) => reveals).sort((a, b) => a.position - b.position)
  t.same((await post(app, url, request)).body.holes[0].tokens, told)
})

t.test('the probability of a token is that which the model gave it', async (t) => {
  const { app, denoiser } = await build(t)
  const request = { template: [{ mask: 12 }], seed: 1, steps: 4, alternatives: 3 }
  const { tokens } = (await post(app, url, request)).body.holes[0]
  const laws = lawsOf(denoiser.passes)
  let unlikely = 0
  for (const { position, token, probability } of tokens) {
    const law = laws.get(position + 1)! // behind the beginning-of-text token
    const expected = law[TOKENS.indexOf(token)]!
    t.ok(Math.abs(probability - expected) < 1e-6, `${probability} of ${law}`)
    if (expected < Math.max(...law)) unlikely++
  }
  t.ok(unlikely > 0)
})

t.test('a bad template is refused by name', async (t) => {
  const { app } = await build(t)
  const refusals: [template: unknown, param: string, message: RegExp][] = [
    [undefined, 'template', /^template: expected a non-empty array of .*, got nothing$/],
    ['Once', 'template', /got "Once"$/],
    [[], 'template', /got \[\]$/],
    [['Once'], 'template', /expected at least one hole such as {"mask": 12}, got none/],
    [['Once', 3], 'template[1]', /expected a string, .* or a hole such as {"mask": 12}, got 3/],
    [[{ mask: 0 }], 'template[0].mask', /expected an integer >= 1, got 0/],
    [[{ mask: 2, text: '' }], 'template[0].text', /unknown field/],
    [[{}], 'template[0].mask', /expected an integer >= 1, got nothing/],
    [[[50257], { mask: 1 }], 'template[0]', /the mask token/],
    [[{ mask: 900 }], 'template', /expected at most 63 tokens/]
  ]
  for (const [template, param, message] of refusals) {
    const { status, body } = await post(app, url, { template })
    t.match({ status, ...body.error }, { status: 400, param, message })
  }
  const { status, body } = await post(app, url, { template: [{ mask: 1 }], prompt_logprobs: 1 })
  t.match({ status, ...body.error }, { status: 400, param: 'prompt_logprobs', message: /unknown field/ })
})

t.test('where the time went is in a header, too', async (t) => {
  const { app } = await build(t)
  for (const [url, request] of [
    ['/v1/infill', { template: ['The ', { mask: 2 }] }],
    ['/v1/completions', { max_tokens: 2, n: 2 }]
  ] as const) {
    const answer = await app.inject({ method: 'POST', url, payload: request })
    const header = String(answer.headers['server-timing'])
    t.match(header, /^queue;dur=[\d.]+, first-step;dur=[\d.]+, passes;dur=[\d.]+, total;dur=[\d.]+$/)
    const body = answer.json()
    const { timings } = body.choices?.[1].fewstep ?? body
    const total = Number(/total;dur=([\d.]+)/.exec(header)![1])
    t.ok(total >= timings.total_ms)
  }
})
