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

  has(item: T): boolean {
    return this.#flows.get(this.#options.clientOf(item)?.name)?.waiting.has(item) ?? false
  }

  sizeOf(client: Client): number {
    return this.#flows.get(client.name)?.waiting.size ?? 0
  }

  /** The same queue of others: what is done to one is not done to the other. */
  map<U>(of: (item: T) => U, options: FairQueueOptions<U>): FairQueue<U> {
    const other = new FairQueue(options)
    for (const [name, flow] of this.#flows)
      other.#flows.set(name, { ...flow, waiting: new Set([...flow.waiting].map(of)) })
    other.#size = this.#size
    other.#now = this.#now
    return other
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

  #nextFlow(): Flow<T> | undefined {
    let next: Flow<T> | undefined
    for (const flow of this.#flows.values())
      if (flow.waiting.size > 0 && !(next && next.start <= flow.start)) next = flow
    return next
  }
}
