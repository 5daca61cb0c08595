import { t } from 'tap'
import type { Cell } from '../../src/commands/lines.js'
import { Screen } from '../../src/commands/screen.js'
import { FakeTerminal } from './fake-terminal.js'

const cells = (text: string): Cell[] => [{ text, style: 'revealed' }]

t.test('a block is drawn again in place, longer or shorter', async (t) => {
  const terminal = new FakeTerminal(10, 24)
  const screen = new Screen(terminal)
  terminal.write('$ fewstep\n')
  for (const text of ['one', 'one two three four', '日本語日本語日本語', 'a\n\nb', 'exactly 10', 'end']) {
    screen.draw(cells(text))
    t.notOk(terminal.cursorShown)
  }
  t.equal(terminal.text, '$ fewstep\nend')
  screen.clear()
  terminal.write('the text\n')
  t.equal(terminal.text, '$ fewstep\nthe text\n')
  t.ok(terminal.cursorShown)
})

t.test(
  'of a block higher than the terminal the last lines are shown, and nothing of it is left',
  async (t) => {
    const terminal = new FakeTerminal(10, 4)
    const screen = new Screen(terminal)
    terminal.write('$ fewstep\n')
    screen.draw(cells('1\n2\n3\n4\n5'))
    screen.draw(cells('1\n2\n3\n4\n5\n6'))
    t.equal(terminal.text, '$ fewstep\n4\n5\n6')
    screen.clear()
    t.equal(terminal.text, '$ fewstep\n')
  }
)

t.test('a terminal that became narrower is cleared all the same', async (t) => {
  const terminal = new FakeTerminal(10, 24)
  const screen = new Screen(terminal)
  terminal.columns = 5 // what it shows is wrapped anew as it is written
  const wide = {
    columns: 10,
    rows: 24,
    hasColors: () => false,
    write: (text: string) => terminal.write(text)
  }
  const resized = new Screen(wide)
  resized.draw(cells('ten column'))
  wide.columns = 5
  resized.clear()
  t.equal(terminal.text, '')
  screen.draw(cells('x'))
  t.equal(terminal.text, 'x')
})
