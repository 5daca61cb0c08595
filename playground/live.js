/** Sums of Prometheus' text by metric, over all labels. */
export function readMetrics(text) {
  const sums = new Map()
  for (const [, name, value] of text.matchAll(/^(\w+)(?:\{[^}]*\})? (\S+)/gm)) {
    sums.set(name, (sums.get(name) ?? 0) + Number(value))
  }
  return sums
}

const EVERY_MS = 2000

/** What the server is doing, read from its metrics as long as somebody looks. */
export class LiveStrip {
  #show
  #before
  #headers = {}
  #refused = false

  /** @param show told { state, queue, batch, passes } */
  constructor(show) {
    this.#show = show
    this.#watch()
  }

  /** Metrics may be for those alone who have a key, and not for every key. */
  useKey(key) {
    this.#headers = { authorization: `Bearer ${key}` }
    this.#refused = false
  }

  async #watch() {
    if (!document.hidden) await this.#look()
    setTimeout(() => this.#watch(), EVERY_MS)
  }

  async #look() {
    try {
      const [ready, rates] = await Promise.all([
        fetch('/health/ready'),
        this.#refused ? {} : this.#askMetrics()
      ])
      const { status } = await ready.json()
      this.#show({ state: status, ...rates })
    } catch {
      this.#before = undefined
      this.#show({ state: 'unreachable' })
    }
  }

  async #askMetrics() {
    const metrics = await fetch('/metrics', { headers: this.#headers })
    this.#refused = [401, 403].includes(metrics.status)
    return metrics.ok ? this.#rates(readMetrics(await metrics.text())) : {}
  }

  #rates(sums) {
    const read = (name) => sums.get(`fewstep_${name}`) ?? 0
    const now = {
      at: performance.now(),
      passes: read('passes_total'),
      texts: read('batch_sequences_sum'),
      batches: read('batch_sequences_count')
    }
    const before = this.#before ?? now
    this.#before = now
    const seconds = (now.at - before.at) / 1000
    const batches = now.batches - before.batches
    return {
      queue: read('queued_sequences'),
      batch: batches > 0 ? (now.texts - before.texts) / batches : 0,
      passes: seconds > 0 ? (now.passes - before.passes) / seconds : 0
    }
  }
}
