import { byId, element } from './element.js'

/** Tokens a word of English takes, about. */
const TOKENS_A_WORD = 1.3

/**
 * A text with holes in it. A hole is { length, tokens, text, kept }: its tokens are known once it was filled, and stay
 * when it is kept.
 */
export class HoleEditor {
  #text = byId('template')
  #list = byId('holes')
  #make = byId('make-hole')
  #holes = new Map() // chip -> hole
  #range
  #onChange
  #onReroll

  constructor({ onChange, onReroll }) {
    this.#onChange = onChange
    this.#onReroll = onReroll
    document.addEventListener('selectionchange', () => this.#remember())
    this.#make.addEventListener('pointerdown', (event) => event.preventDefault()) // the selection stays
    this.#make.addEventListener('click', () => this.#cut())
    this.#text.addEventListener('input', () => this.#changed())
  }

  /** What stands in the text, in order: strings and holes. */
  get pieces() {
    const pieces = []
    for (const node of this.#text.childNodes) {
      const hole = this.#holes.get(node)
      if (hole) pieces.push(hole)
      else if (typeof pieces.at(-1) === 'string') pieces.push(pieces.pop() + node.textContent)
      else if (node.textContent) pieces.push(node.textContent)
    }
    return pieces
  }

  set template(template) {
    this.#holes.clear()
    const nodes = template.map((piece) =>
      typeof piece === 'string' ? piece : this.#chip({ length: piece.mask, kept: false })
    )
    this.#text.replaceChildren(...nodes)
    this.#changed()
  }

  #remember() {
    const selection = getSelection()
    const range = selection.rangeCount > 0 ? selection.getRangeAt(0) : undefined
    if (!range || !this.#text.contains(range.commonAncestorContainer)) return
    this.#range = range.cloneRange()
    this.#make.disabled = false
    this.#make.textContent = range.collapsed ? 'Insert a hole' : 'Make a hole'
  }

  /** Whole words become a hole, with the space before them: tokens begin with their space. */
  #cut() {
    const range = this.#range
    if (!range) return
    const { startContainer, endContainer } = range
    if (!range.collapsed) {
      if (startContainer.nodeType === Node.TEXT_NODE) {
        const before = startContainer.data.slice(0, range.startOffset)
        range.setStart(startContainer, before.replace(/\s*[\p{L}\p{N}'’]*$/u, '').length)
      }
      if (endContainer.nodeType === Node.TEXT_NODE) {
        const [word] = /^[\p{L}\p{N}'’]*/u.exec(endContainer.data.slice(range.endOffset))
        range.setEnd(endContainer, range.endOffset + (/\s$/.test(range.toString()) ? -1 : word.length))
      }
    }
    const words = range.toString().trim().split(/\s+/).filter(Boolean).length || 3
    range.deleteContents()
    range.insertNode(this.#chip({ length: Math.ceil(words * TOKENS_A_WORD), kept: false }))
    this.#changed()
    this.#list.lastElementChild?.querySelector('input').focus()
  }

  #chip(hole) {
    const chip = element('span', { className: 'hole', contentEditable: 'false' })
    this.#holes.set(chip, hole)
    return chip
  }

  #changed() {
    for (const chip of this.#holes.keys()) if (!this.#text.contains(chip)) this.#holes.delete(chip)
    this.refresh()
    this.#onChange()
  }

  /** Draws chips and rows as the holes are now. */
  refresh() {
    const chips = [...this.#text.childNodes].filter((node) => this.#holes.has(node))
    chips.forEach((chip, i) => {
      chip.textContent = `${i + 1}`
      chip.style.setProperty('--length', Math.min(12, this.#holes.get(chip).length))
    })
    this.#list.replaceChildren(...chips.map((chip, i) => this.#row(chip, this.#holes.get(chip), i + 1)))
  }

  #row(chip, hole, number) {
    const name = `hole ${number}`
    const length = element('input', {
      type: 'number',
      min: 1,
      value: hole.length,
      'aria-label': `Tokens of ${name}`
    })
    length.addEventListener('change', () => {
      Object.assign(hole, {
        length: Math.max(1, length.valueAsNumber || 1),
        tokens: undefined,
        text: undefined
      })
      this.#changed()
    })
    const keep = element('input', { type: 'checkbox', checked: hole.kept, disabled: !hole.tokens })
    keep.addEventListener('change', () => {
      hole.kept = keep.checked
      this.refresh()
    })
    const reroll = element('button', {
      type: 'button',
      textContent: 'Re-roll',
      'aria-label': `Re-roll ${name}`,
      disabled: !hole.tokens
    })
    reroll.addEventListener('click', () => this.#onReroll(hole))
    const remove = element('button', { type: 'button', textContent: '×', 'aria-label': `Remove ${name}` })
    remove.addEventListener('click', () => {
      chip.replaceWith(hole.text ?? '')
      this.#changed()
    })
    return element(
      'li',
      {},
      element('span', { className: 'hole', textContent: number, ariaHidden: 'true' }),
      length,
      element('span', { className: 'filled', textContent: hole.text ?? 'tokens' }),
      element('label', {}, keep, ' Keep'),
      reroll,
      remove
    )
  }
}
