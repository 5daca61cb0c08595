import fc from 'fast-check'
import t from 'tap'
import { type Line, linesOf } from '../src/bounded-lines.js'

async function* chunksOf(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(text: string, size: number, maxBytes = 1000): Promise<Line[]> {
  const lines: Line[] = []
  for await (const line of linesOf(chunksOf(Buffer.from(text), size), maxBytes)) lines.push(line)
  return lines
}

t.test(
  'lines are those of the text, however it is cut into chunks; blank ones count but do not come',
  async (t) => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '😀', '\n', ' ', '\r') })
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (text, size) => {
        const expected = text
          .split('\n')
          .map((text, i) => ({ number: i + 1, bytes: Buffer.byteLength(text), text }))
          .filter(({ text }) => text.trim() !== '')
        t.strictSame(await read(text, size), expected)
      })
    )
  }
)

t.test('a line that is too long comes without its text, and the next ones come whole', async (t) => {
  t.same(await read(`${'x'.repeat(50)}\nshort\n${'y'.repeat(10)}`, 7, 10), [
    { number: 1, bytes: 50, text: undefined },
    { number: 2, bytes: 5, text: 'short' },
    { number: 3, bytes: 10, text: 'y'.repeat(10) }
  ])
})

t.test('a blank line is blank however long it is, and whatever the limit', async (t) => {
  const text = `a\n${' '.repeat(50)}\r\nb`
  for (const maxBytes of [0, 10, 1000]) {
    t.same(
      (await read(text, 7, maxBytes)).map(({ number }) => number),
      [1, 3]
    )
  }
})

t.test('a byte order mark is no part of the first line', async (t) => {
  t.equal((await read('\ufeff{}', 2))[0]!.text, '{}')
})
