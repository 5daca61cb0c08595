import fc from 'fast-check'
import t from 'tap'
import { layOutWindows } from '../../src/diffusion/windows.js'

t.test('a text within the context is one window', async (t) => {
  t.same(layOutWindows(10, 3, 10), [{ start: 0, end: 10, from: 3 }])
})

t.test(
  'a longer text is written window after window, each seeing half a context of what stands',
  async (t) => {
    t.same(layOutWindows(20, 3, 8), [
      { start: 0, end: 8, from: 3 },
      { start: 4, end: 12, from: 8 },
      { start: 8, end: 16, from: 12 },
      { start: 12, end: 20, from: 16 }
    ])
  }
)

t.test('windows reveal every position once and never outgrow the context', async (t) => {
  const cases = fc
    .record({
      context: fc.integer({ min: 2, max: 64 }),
      length: fc.integer({ min: 2, max: 400 }),
      at: fc.nat()
    })
    .map(({ context, length, at }) => ({ context, length, first: 1 + (at % (length - 1)) }))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(cases, ({ context, length, first }) => {
        const windows = layOutWindows(length, first, context)
        let from = first
        for (const window of windows) {
          if (window.from !== from || window.end <= from || window.end - window.start > context) return false
          if (window.start > 0 && from - window.start < Math.floor(context / 2)) return false
          from = window.end
        }
        return from === length
      })
    )
  )
})
