import t from 'tap'
import { eventText, keepAlive } from '../../src/http/server-sent-events.js'

t.test('an event is one line of data, with its name before', async (t) => {
  t.equal(eventText({ text: 'a\nb' }), 'data: {"text":"a\\nb"}\n\n')
  t.equal(eventText({}, 'step-end'), 'event: step-end\ndata: {}\n\n')
})

t.test('comments fill silence, and every event comes through', async (t) => {
  let speak = () => {}
  async function* events() {
    yield 'one'
    await new Promise<void>((resolve) => {
      speak = resolve
    })
    yield 'two'
  }
  const heard: string[] = []
  for await (const event of keepAlive(events(), 1)) {
    heard.push(event)
    if (heard.length === 5) speak()
  }
  t.same(heard.slice(0, 5), [': accepted\n\n', 'one', ': alive\n\n', ': alive\n\n', ': alive\n\n'])
  t.equal(heard.at(-1), 'two')
})

t.test('who stops listening ends the source, and its error comes through', async (t) => {
  let ended = false
  async function* events() {
    try {
      yield 'one'
      yield 'two'
    } finally {
      ended = true
    }
  }
  for await (const event of keepAlive(events(), 1000)) if (event === 'one') break
  t.ok(ended)
  async function* failing(): AsyncGenerator<string> {
    yield 'one'
    throw new Error('out of luck')
  }
  const read = async () => {
    for await (const event of keepAlive(failing(), 1000)) t.ok(event)
  }
  await t.rejects(read(), { message: 'out of luck' })
})
