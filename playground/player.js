/** The time that is shown, which goes at its own speed, back and forth, and never past what is known. */
export class Player {
  #render
  #moments = () => [] // when something happens, in ms of the shown time
  #edge = () => 0
  #now = 0
  #playing = false
  #last = 0
  #finished = true
  speed = 1

  /** @param render told { now, moment, moments, playing } whenever one of them changed */
  constructor(render) {
    this.#render = render
  }

  /**
   * Plays from the start.
   * @param moments tells when something happens, as far as it is known
   * @param edge tells up to where the time may go by now
   */
  start(moments, edge) {
    this.#moments = moments
    this.#edge = edge
    this.#now = 0
    this.#finished = false
    this.play()
  }

  play() {
    const moments = this.#moments()
    if (this.#finished && this.#now >= (moments.at(-1) ?? 0)) this.#now = 0
    if (this.#playing) return
    this.#playing = true
    this.#last = performance.now()
    requestAnimationFrame((now) => this.#tick(now))
    this.#tell()
  }

  pause() {
    this.#playing = false
    this.#tell()
  }

  toggle() {
    if (this.#playing) this.pause()
    else this.play()
  }

  /** Goes to the moment of this number; 0 is before the first. */
  seek(moment) {
    this.#playing = false
    this.#now = moment === 0 ? 0 : this.#moments()[moment - 1]
    this.#tell()
  }

  /** Draws what became known. */
  refresh() {
    this.#tell()
  }

  /** Nothing more will happen. */
  finish() {
    this.#finished = true
  }

  #tick(now) {
    if (!this.#playing) return
    this.#now = Math.min(this.#now + Math.max(0, now - this.#last) * this.speed, this.#edge())
    this.#last = now
    if (this.#finished && this.#now >= (this.#moments().at(-1) ?? 0)) this.#playing = false
    else requestAnimationFrame((next) => this.#tick(next))
    this.#tell()
  }

  #tell() {
    const moments = this.#moments()
    const moment = moments.findLastIndex((at) => at <= this.#now) + 1
    this.#render({ now: this.#now, moment, moments: moments.length, playing: this.#playing })
  }
}
