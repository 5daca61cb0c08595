/** Styled text to the lines of a terminal: wrapped here, so that how many lines there are is known. */
import { displayWidth } from './display-width.js'

export type Style = 'plain' | 'revealed' | 'masked' | 'note'

export interface Cell {
  readonly text: string
  readonly style: Style
}

export interface Line {
  readonly text: string // with its escape sequences
  readonly width: number // columns
}

const codes: Record<Style, string> = {
  plain: '',
  revealed: '\u001b[1;36m',
  masked: '\u001b[2m',
  note: '\u001b[2m'
}
const reset = '\u001b[0m'
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Text a terminal cannot mistake for commands: control characters, all but the line feed, become pictures of themselves. */
export function harmless(text: string): string {
  return text
    .replaceAll('\t', '  ')
    .replaceAll('\r', '')
    .replace(/[^\P{Cc}\n]/gu, (character) => {
      const code = character.charCodeAt(0)
      return code < 0x20 ? String.fromCharCode(0x2400 + code) : '\u2421'
    })
}

/** Wraps where the terminal itself would. */
export function layOutLines(cells: readonly Cell[], columns: number, colors: boolean): Line[] {
  const lines: Line[] = []
  let text = ''
  let width = 0
  const endLine = () => {
    lines.push({ text, width })
    text = ''
    width = 0
  }
  for (const cell of cells) {
    const [open, close] = colors && codes[cell.style] ? [codes[cell.style], reset] : ['', '']
    let run = ''
    const endRun = () => {
      if (run) text += open + run + close
      run = ''
    }
    for (const { segment } of graphemes.segment(harmless(cell.text))) {
      const segmentWidth = segment === '\n' ? 0 : displayWidth(segment)
      if (segment === '\n' || width + segmentWidth > columns) {
        endRun()
        endLine()
      }
      if (segment !== '\n') run += segment
      width += segmentWidth
    }
    endRun()
  }
  endLine()
  return lines
}
