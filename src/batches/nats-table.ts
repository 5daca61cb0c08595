import { DiscardPolicy, StorageType } from '@nats-io/jetstream'
import { type NatsLink, refusals, unless } from './nats-link.js'

export interface Entry {
  readonly key: string
  readonly value: Uint8Array
  readonly revision: number
}

/** More than a list takes. */
const LIST_MS = 10_000

/**
 * A stream that keeps the last message of each subject: a table, in which a subject's end is the key. A read is answered by the stream's leader,
 * so that it is never older than what was written before.
 */
export class NatsTable {
  readonly #link: NatsLink
  readonly #stream: string
  readonly #prefix: string

  constructor(link: NatsLink, ...name: string[]) {
    this.#link = link
    this.#stream = ['fewstep', ...name].join('-')
    this.#prefix = `${['fewstep', ...name].join('.')}.`
  }

  /** Unless it is there. */
  async create(): Promise<void> {
    await this.#link.ensureStream({
      name: this.#stream,
      subjects: [`${this.#prefix}>`],
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_msgs_per_subject: 1,
      allow_direct: false
    })
  }

  /** With all that is in it. */
  async drop(): Promise<void> {
    await this.#link.manager.streams.delete(this.#stream).catch(unless(refusals.noStream))
  }

  async get(key: string): Promise<Entry | undefined> {
    const query = { last_by_subj: this.#subject(key) }
    const message = await this.#link.manager.streams
      .getMessage(this.#stream, query)
      .catch(unless(refusals.noStream))
    return message ? { key, value: message.data, revision: message.seq } : undefined
  }

  /**
   * @param revision that the key has until then; 0 where it has no value. Any unless given.
   * @returns the new revision; undefined where another was found
   */
  async put(key: string, value: string | Uint8Array, revision?: number): Promise<number | undefined> {
    const options = revision === undefined ? {} : { expect: { lastSubjectSequence: revision } }
    const published = this.#link.client.publish(this.#subject(key), value, options)
    return (await published.catch(unless(refusals.wrongRevision)))?.seq
  }

  async delete(key: string): Promise<void> {
    const entry = await this.get(key)
    if (!entry) return
    const deleted = this.#link.manager.streams.deleteMessage(this.#stream, entry.revision, false)
    await deleted.catch(unless(refusals.noMessage))
  }

  /**
   * Not while it is listed: NATS 2.9 then leaves out others, too.
   *
   * @param keys many: * stands for a part between dots, > for the rest
   * @param before spares revisions from this one on
   */
  async purge(keys: string, before?: number): Promise<void> {
    if (before === 1) return // nothing is before it; and NATS would take 1 for none
    const filter = this.#prefix + keys
    const spare = before === undefined ? {} : { seq: before }
    await this.#link.manager.streams.purge(this.#stream, { filter, ...spare })
  }

  /** How many messages there are, and the keys of those that fit. */
  async survey(keys: string): Promise<{ size: number; found: string[] }> {
    const query = { subjects_filter: this.#prefix + keys }
    const info = await this.#link.manager.streams.info(this.#stream, query).catch(unless(refusals.noStream))
    const found = Object.keys(info?.state.subjects ?? {}).map((subject) => subject.slice(this.#prefix.length))
    return { size: info?.state.messages ?? 0, found }
  }

  async size(): Promise<{ messages: number; bytes: number }> {
    return (await this.#link.manager.streams.info(this.#stream)).state
  }

  /** All, in no order. */
  async *list(): AsyncGenerator<Entry> {
    const consumer = await this.#link.client.consumers.get(this.#stream, {})
    try {
      const { num_pending } = await consumer.info(true)
      if (num_pending === 0) return
      for await (const message of await consumer.fetch({ max_messages: num_pending, expires: LIST_MS })) {
        const key = message.subject.slice(this.#prefix.length)
        yield { key, value: message.data, revision: message.seq }
        if (message.info.pending === 0) break // before it is time: some may have gone meanwhile
      }
    } finally {
      await consumer.delete()
    }
  }
  /** Of one key: what has a * or > in it would be answered by another's. */
  #subject(key: string): string {
    if (!/^[\w-]+(\.[\w-]+)*$/.test(key)) throw new Error(`${this.#stream}: expected a key, got "${key}"`)
    return this.#prefix + key
  }
}
