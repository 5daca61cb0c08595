/** Who asks, and the share of the device that this client has while others wait, too. */
export interface Client {
  readonly name: string
  readonly weight: number
}

interface Flow<T> {
  readonly waiting: Set<T> // in the order in which they came
  weight: number
  /** Start tag of the next one. */
  start: number
}

export interface FairQueueOptions<T> {
  /** All that have none share one place among the clients. */
  readonly clientOf: (item: T) => Client | undefined
  /** What serving it takes, in any unit. */
  readonly costOf: (item: T) => number
}

/**
 * Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996): the next one is of the client who has
 * had the least for its weight. While two clients wait, what they get, divided by their weights, differs by no more than the
 * costliest item of each divided by its weight (theorem 1), whatever the costs are. Of one client: first come, first served.
 */
export class FairQueue<T> {
  readonly #options: FairQueueOptions<T>
  readonly #flows = new Map<string | undefined, Flow<T>>()
  #size = 0
  #now = 0 // virtual time: start tag of the last one that was taken

  constructor(options: FairQueueOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  /** All of them, client by client. */
  get all(): readonly T[] {
    return [...this.#flows.values()].flatMap(({ waiting }) => [...waiting])
  }

  /** All of them, as they would be taken if nobody else came. */
  get inOrder(): readonly T[] {
    const tagged = [...this.#flows.values()].flatMap((flow) => {
      const tags = this.#tags(flow)
      return [...flow.waiting].map((item, i) => ({ item, tag: tags[i]! }))
    })
    return tagged.sort((a, b) => a.tag - b.tag).map(({ item }) => item)
  }

  add(item: T): void {
    const client = this.#options.clientOf(item)
    const flow = this.#flows.get(client?.name) ?? { waiting: new Set(), weight: 1, start: 0 }
    this.#flows.set(client?.name, flow)
    flow.weight = client?.weight ?? 1
    if (flow.waiting.size === 0) flow.start = Math.max(flow.start, this.#now)
    flow.waiting.add(item)
    this.#size++
  }

  /** The next one, which stays. */
  get next(): T | undefined {
    return this.#nextFlow()?.waiting.values().next().value
  }

  take(): T | undefined {
    const item = this.next
    if (item === undefined) return undefined
    const flow = this.#nextFlow()!
    flow.waiting.delete(item)
    this.#size--
    this.#now = flow.start
    flow.start += this.#options.costOf(item) / flow.weight
    // Who has had no more than all others has nothing to be remembered for.
    for (const [name, { waiting, start }] of this.#flows)
      if (waiting.size === 0 && start <= this.#now) this.#flows.delete(name)
    return item
  }

  /** True when it was here. What was not served is not charged. */
  delete(item: T): boolean {
    const flow = this.#flows.get(this.#options.clientOf(item)?.name)
    if (!flow?.waiting.delete(item)) return false
    this.#size--
    return true
  }

  /** How many would be taken before one that came now, if nobody else came. */
  ahead(client: Client | undefined): number {
    const own = this.#flows.get(client?.name)
    const tag = own ? Math.max(this.#now, this.#tags(own).at(-1)!) : this.#now
    let count = 0
    let older = true // of clients with equal tags the one that has been here longest goes first
    for (const flow of this.#flows.values()) {
      if (flow === own) older = false
      const isAhead = (other: number) => flow === own || other < tag || (older && other === tag)
      count += this.#tags(flow).slice(0, -1).filter(isAhead).length
    }
    return count
  }

  /** Start tags of those that wait, and of one behind them. */
  #tags({ waiting, weight, start }: Flow<T>): number[] {
    const tags = [start]
    for (const item of waiting) tags.push(tags.at(-1)! + this.#options.costOf(item) / weight)
    return tags
  }

  #nextFlow(): Flow<T> | undefined {
    let next: Flow<T> | undefined
    for (const flow of this.#flows.values())
      if (flow.waiting.size > 0 && !(next && next.start <= flow.start)) next = flow
    return next
  }
}
