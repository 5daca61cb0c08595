import { Canvas } from './canvas.js'
import { Timeline } from './timeline.js'

const number = new Intl.NumberFormat('en')
const duration = (ms) => (ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`)

/** One text on the page: its canvas, its recording, and the facts above it. */
export class Lane {
  timeline
  #facts
  #canvas
  #startedAt = 0

  constructor(root, onToken) {
    this.#facts = root.querySelector('.facts')
    this.#canvas = new Canvas(root.querySelector('.canvas'), onToken)
  }

  preview(pieces) {
    this.timeline = undefined
    this.#canvas.preview(pieces)
    this.#facts.replaceChildren()
  }

  /** Records the events of one text until its end, and tells of each. */
  async record(events, { pieces, whole }, onEvent) {
    this.timeline = undefined
    this.#startedAt = performance.now()
    for await (const event of events) {
      const at = performance.now() - this.#startedAt
      onEvent()
      if (event.type === 'sequence-start') this.timeline = new Timeline(event, pieces, whole)
      else if (event.type === 'step-end') this.timeline.add(event, at)
      else this.timeline.finish(event, at)
    }
  }

  lay() {
    this.#canvas.lay(this.timeline)
  }

  settle() {
    this.#canvas.settle()
  }

  /** Shows the text after so many frames, or as it was so long after the request. */
  show({ frames, ms }) {
    const { timeline } = this
    if (!timeline) return
    const shown = frames ?? timeline.frames.findLastIndex(({ at }) => at <= ms) + 1
    this.#canvas.show(shown)
    const { start, frames: all } = timeline
    const done =
      timeline.end !== undefined && (ms === undefined ? shown === all.length : ms >= timeline.endedAt)
    const step = done ? start.steps : (all[shown - 1]?.step ?? 0)
    const watch = ms === undefined ? undefined : Math.min(ms, timeline.endedAt ?? ms)
    this.#tell([
      start.model,
      `step ${step} of ${start.steps}`,
      ...(done ? this.#result() : watch === undefined ? [] : [duration(watch)])
    ])
  }

  #result() {
    const { end, endedAt, start } = this.timeline
    const tokens = end.usage.completion_tokens
    const rate = number.format(Math.round((tokens / endedAt) * 1000))
    return [
      duration(endedAt),
      `${end.timings.passes} passes`,
      `${tokens} tokens`,
      `${rate} tokens/s`,
      `seed ${start.seed}`
    ]
  }

  #tell(facts) {
    this.#facts.replaceChildren(
      ...facts.map((text) => Object.assign(document.createElement('span'), { textContent: text }))
    )
  }
}
