import t from 'tap'
import { ReusableArray } from '../../src/scheduler/reusable-array.js'

t.test('the same memory is lent again, and more when more is asked for', async (t) => {
  const reusable = new ReusableArray((length) => new Int32Array(length))
  const five = reusable.lend(5)
  t.equal(five.length, 5)
  for (const length of [1, 5, 8, 0]) {
    t.equal(reusable.lend(length).length, length)
    t.equal(reusable.lend(length).buffer, five.buffer)
  }
  const nine = reusable.lend(9)
  t.equal(nine.length, 9)
  t.not(nine.buffer, five.buffer)
})
