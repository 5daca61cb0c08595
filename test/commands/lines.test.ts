import { t } from 'tap'
import { type Cell, harmless, layOutLines } from '../../src/commands/lines.js'

const plain = (text: string): Cell => ({ text, style: 'plain' })
const lines = (cells: Cell[], columns: number) => layOutLines(cells, columns, false).map((line) => line.text)

t.test('text wraps at the width, over the border of cells', async (t) => {
  t.same(lines([plain('abc'), plain('defg')], 5), ['abcde', 'fg'])
  t.same(lines([plain('abcde')], 5), ['abcde'])
  t.same(lines([plain('a\n\nb')], 5), ['a', '', 'b'])
  t.same(lines([], 5), [''])
})

t.test('wide characters take two columns, marks none', async (t) => {
  t.same(lines([plain('日本語')], 5), ['日本', '語'])
  t.same(lines([plain('👍🏽👍🏽👍🏽')], 4), ['👍🏽👍🏽', '👍🏽'])
  t.same(lines([plain('e\u0301e\u0301e\u0301')], 3), ['e\u0301e\u0301e\u0301'])
  t.same(
    layOutLines([plain('語e\u0301x')], 9, false).map((line) => line.width),
    [4]
  )
})

t.test('a style covers its own text alone and ends with the line', async (t) => {
  const cells: Cell[] = [plain('ab'), { text: 'cdef', style: 'revealed' }, plain('g')]
  t.same(
    layOutLines(cells, 4, true).map((line) => line.text),
    ['ab\u001b[1;36mcd\u001b[0m', '\u001b[1;36mef\u001b[0mg']
  )
})

t.test('text cannot command the terminal', async (t) => {
  t.equal(harmless('a\u001b[2Jb\u0007\u009bc\td\r\n'), 'a␛[2Jb␇␡c  d\n')
})
