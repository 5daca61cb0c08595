/**
 * One text as it came: which places there are, and which frame reveals each.
 *
 *   segments   what stands where:  given text | a hole of places
 *   frames     one a step that revealed something, in order, with the milliseconds after the request when it came
 */
export class Timeline {
  segments = []
  places = new Map() // position -> { position, reveal, frame }
  frames = []
  start
  end
  endedAt

  /**
   * @param pieces what the request has, in order: strings, what is kept as { kept }, and null where a hole is
   * @param whole whether the text that the server tells has the given text in it, as an infill's
   */
  constructor(start, pieces, whole) {
    this.start = start
    this.whole = whole
    let hole = 0
    for (const piece of pieces) {
      if (typeof piece === 'string') this.segments.push({ given: piece })
      else if (piece?.kept !== undefined) this.segments.push({ given: piece.kept, kept: true })
      else {
        const { start: from, length } = start.holes[hole++]
        const places = Array.from({ length }, (_, i) => ({
          position: from + i,
          text: undefined,
          frame: Infinity
        }))
        for (const place of places) this.places.set(place.position, place)
        this.segments.push({ places })
      }
    }
  }

  /** Takes the reveals of a `step-end`, which may cover several steps. */
  add({ reveals }, at) {
    for (const reveal of reveals) {
      let frame = this.frames.at(-1)
      if (frame?.step !== reveal.step) {
        frame = { step: reveal.step, at, places: [] }
        this.frames.push(frame)
      }
      const place = this.places.get(reveal.position)
      place.reveal = reveal
      place.text = reveal.text
      place.frame = this.frames.length - 1
      frame.places.push(place)
    }
  }

  /** Takes the `sequence-end`: what lies beyond the end of the text goes, characters of several tokens come right. */
  finish(end, at) {
    this.end = end
    this.endedAt = at
    const parts = this.segments.flatMap(({ given, places }) => places ?? (this.whole ? [{ given }] : []))
    let rest = end.text
    parts.forEach((part, i) => {
      const next = parts[i + 1]?.given ?? parts[i + 1]?.text
      const length = part.given?.length ?? lengthIn(rest, part.text, next)
      if (part.given === undefined) part.text = rest.slice(0, length)
      rest = rest.slice(length)
    })
  }
}

/** How much of the rest of the text is this token's; all of a character that is spread over several goes to the first. */
function lengthIn(rest, text = '', next = '\uFFFD') {
  if (!text.includes('\uFFFD')) return text.length
  if (next.includes('\uFFFD')) return 0
  return Math.max(0, rest.indexOf(next))
}
