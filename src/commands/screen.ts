import type { WriteStream } from 'node:tty'
import { type Cell, type Line, layOutLines } from './lines.js'

const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'
const clearBelow = '\u001b[J'

/** What is used of a `tty.WriteStream`. */
export type Terminal = Pick<WriteStream, 'columns' | 'rows' | 'hasColors'> & { write(text: string): unknown }

/** A block of lines at the foot of a terminal that is drawn again in place. */
export class Screen {
  readonly #terminal: Terminal
  #drawn: readonly Line[] = []

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** A terminal that does not know its size says 0. */
  get #columns(): number {
    return this.#terminal.columns || 80
  }

  /** Shows the last lines where not all fit: what has scrolled away cannot be drawn again. */
  draw(cells: readonly Cell[]): void {
    const lines = layOutLines(cells, this.#columns, this.#terminal.hasColors())
    const shown = lines.slice(-Math.max(1, (this.#terminal.rows || 24) - 1))
    this.#terminal.write(`${hideCursor}${this.#home()}${shown.map((line) => line.text).join('\n')}`)
    this.#drawn = shown
  }

  /** Takes the block away and gives the cursor back. */
  clear(): void {
    this.#terminal.write(`${this.#home()}${showCursor}`)
    this.#drawn = []
  }

  /** From the end of the block to its beginning, in rows of the terminal as wide as it is now. */
  #home(): string {
    const rows = this.#drawn.reduce(
      (sum, { width }) => sum + Math.max(1, Math.ceil(width / this.#columns)),
      0
    )
    return `\r${rows > 1 ? `\u001b[${rows - 1}A` : ''}${clearBelow}`
  }
}
