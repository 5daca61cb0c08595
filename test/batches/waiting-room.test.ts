import t from 'tap'
import { WaitingRoom } from '../../src/batches/waiting-room.js'

t.test('who brings more than there is room for waits until one is taken', async (t) => {
  const { signal } = new AbortController()
  const room = new WaitingRoom<number>(1)
  await room.put(1, signal)
  let stored = false
  const second = room.put(2, signal).then(() => {
    stored = true
  })
  await new Promise(setImmediate)
  t.equal(stored, false)
  t.equal(await room.take(signal), 1)
  await second
  t.equal(await room.take(signal), 2)
})

t.test('who takes waits until there is one, or until it is told not to', async (t) => {
  const room = new WaitingRoom<string>()
  const controller = new AbortController()
  const [first, second] = [room.take(controller.signal), room.take(controller.signal)]
  await room.put('a', controller.signal)
  t.equal(await first, 'a')
  controller.abort()
  t.equal(await second, undefined)
  await t.rejects(room.put('b', controller.signal), { name: 'AbortError' })
})

t.test('what is dropped is not taken, and leaves room', async (t) => {
  const { signal } = new AbortController()
  const room = new WaitingRoom<number>(2)
  await room.put(1, signal)
  await room.put(2, signal)
  const third = room.put(3, signal)
  room.drop((item) => item === 1)
  await third
  t.equal(await room.take(signal), 2)
  t.equal(await room.take(signal), 3)
})
