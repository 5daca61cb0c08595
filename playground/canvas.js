import { element } from './element.js'

/** From 0 (certain) to 4 (one in a thousand, or less): as many tints as an eye tells apart. */
const tint = (probability) => Math.min(4, Math.floor((-Math.log10(probability) / 3) * 5))

/** Widths of masks whose token is not known yet, in letters, as tokens of English have them. */
const WIDTHS = [4, 3, 5, 2, 4, 6, 3, 4, 1, 5, 7, 3]

/**
 * A text laid out by position. Where the token is known already, as in a replay, its mask has the token's own width, so
 * that nothing moves when it is revealed. One stop for the keyboard; arrows go from token to token.
 */
export class Canvas {
  #root
  #onToken
  #timeline
  #elements = []
  #places = []
  #shown = 0
  #current = -1

  /** @param onToken told the place that is pointed at or stepped to */
  constructor(root, onToken) {
    this.#root = root
    this.#onToken = onToken
    root.addEventListener('pointerover', ({ target }) => this.#point(this.#elements.indexOf(target)))
    root.addEventListener('focus', () => this.#point(Math.max(0, this.#current)))
    root.addEventListener('keydown', (event) => this.#step(event))
  }

  /** Before anything was asked for: the given text and as many masks as will be written. */
  preview(pieces) {
    this.#timeline = undefined
    this.#fill(
      pieces.map((piece) =>
        typeof piece === 'string' ? { given: piece } : { places: Array(piece).fill({}) }
      )
    )
  }

  /** Lays a text out, all of it masked. */
  lay(timeline) {
    this.#timeline = timeline
    this.#fill(timeline.segments)
  }

  #fill(segments) {
    this.#shown = 0
    this.#current = -1
    this.#places = []
    this.#elements = []
    this.#root.removeAttribute('aria-activedescendant')
    const nodes = segments.flatMap(({ given, kept, places }) => {
      if (given !== undefined)
        return [element('span', { className: kept ? 'kept' : 'given', textContent: given })]
      return places.map((place) => this.#mask(place))
    })
    this.#root.replaceChildren(...nodes)
  }

  #mask(place) {
    const i = this.#elements.length
    const node = element('span', {
      className: 'place masked',
      role: 'option',
      id: `${this.#root.parentElement.dataset.lane}${i}`,
      'aria-selected': 'false',
      dataset: { width: ` ${'n'.repeat(WIDTHS[i % WIDTHS.length])}` }
    })
    this.#elements.push(node)
    this.#places.push(place)
    place.node = node
    write(place, false)
    return node
  }

  /** Shows the text as it was after so many frames. */
  show(frames) {
    if (!this.#timeline || frames === this.#shown) return
    const [from, to] = [Math.min(frames, this.#shown), Math.max(frames, this.#shown)]
    const forward = frames > this.#shown
    for (const node of this.#root.querySelectorAll('.new')) node.classList.remove('new')
    for (const frame of this.#timeline.frames.slice(from, to)) {
      for (const place of frame.places) reveal(place, forward)
    }
    this.#shown = frames
    this.#tell()
  }

  /** The text has come to its end: what lies beyond it goes. */
  settle() {
    for (const place of this.#places) write(place, place.frame < this.#shown)
  }

  #step(event) {
    const rows = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -Infinity, End: Infinity }
    const by = rows[event.key]
    if (by === undefined) return
    event.preventDefault()
    this.#point(Math.max(0, Math.min(this.#elements.length - 1, this.#current + by)))
    this.#elements[this.#current]?.scrollIntoView({ block: 'nearest' })
  }

  #point(i) {
    const node = this.#elements[i]
    if (!node) return
    const last = this.#elements[this.#current]
    last?.classList.remove('current')
    last?.setAttribute('aria-selected', 'false')
    this.#current = i
    node.classList.add('current')
    node.setAttribute('aria-selected', 'true')
    this.#root.setAttribute('aria-activedescendant', node.id)
    this.#tell()
  }

  #tell() {
    const place = this.#places[this.#current]
    if (place) this.#onToken(place, place.frame < this.#shown)
  }
}

function reveal(place, revealed) {
  place.node.className = revealed ? `place new tint-${tint(place.reveal.probability)}` : 'place masked'
  write(place, revealed)
}

/** A mask draws its token's letters, or some, where nobody sees or reads them: for their width alone. */
function write({ node, text }, revealed) {
  node.textContent = revealed ? text : ''
  node.hidden = text === ''
  if (text !== undefined) node.dataset.width = text
  if (!revealed) node.setAttribute('aria-label', 'masked')
  else if (text.trim()) node.removeAttribute('aria-label')
  else node.setAttribute('aria-label', 'white space')
}
