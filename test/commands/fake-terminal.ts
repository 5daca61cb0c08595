import { displayWidth } from '../../src/commands/display-width.js'
import type { Terminal } from '../../src/commands/screen.js'

const ESCAPE = '\u001b'
const parts = new RegExp(`${ESCAPE}\\[([?\\d;]*)([A-Za-z])|[\\s\\S]`, 'gu')

/** A terminal that remembers what it shows: enough of a VT100 to see where a redraw lands. */
export class FakeTerminal implements Terminal {
  columns: number
  rows: number
  cursorShown = true
  #lines: string[][] = [[]]
  #row = 0
  #column = 0

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
  }

  hasColors(): boolean {
    return true
  }

  /** Everything, from the first line that was ever written. */
  get text(): string {
    return this.#lines.map((line) => line.join('').trimEnd()).join('\n')
  }

  write(text: string): void {
    for (const [part, parameter, command] of text.matchAll(parts)) {
      if (command) this.#command(command, parameter!)
      else if (part === '\r') this.#column = 0
      else if (part === '\n') this.#lineFeed()
      else this.#print(part)
    }
  }

  #command(command: string, parameter: string): void {
    if (command === 'A') this.#row = Math.max(this.#top, this.#row - Number(parameter || 1))
    if (command === 'J') {
      this.#lines.length = this.#row + 1
      this.#lines[this.#row]!.length = this.#column
    }
    if (parameter === '?25') this.cursorShown = command === 'h'
  }

  #print(character: string): void {
    const width = displayWidth(character)
    if (this.#column + width > this.columns) this.#lineFeed()
    this.#lines[this.#row]![this.#column] = character
    this.#column += width
  }

  #lineFeed(): void {
    this.#row++
    this.#column = 0
    this.#lines[this.#row] ??= []
  }

  /** The cursor cannot go to a line that has scrolled away. */
  get #top(): number {
    return Math.max(0, this.#lines.length - this.rows)
  }
}
