import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import {
  AckPolicy,
  type Consumer,
  DiscardPolicy,
  type JsMsg,
  RetentionPolicy,
  StorageType
} from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { type NatsLink, refusals, unless } from './nats-link.js'

/** Work that is held here until it is done. */
export interface HeldWork {
  readonly batchId: string
  readonly data: Uint8Array
  /** It was held before, by somebody who may have done it. */
  readonly again: boolean
  /** It is done, and goes. */
  done(): void
}

/** Work whose holder has not been heard of for so long comes again; this is the longest that a death stays unnoticed. */
const SILENCE_MS = 10_000
const SIGN_OF_LIFE_MS = SILENCE_MS / 4

/** Work of one batch that waits or is held. Whoever adds more waits. */
export const ROOM = 1024
const LOOK_MS = 200

/** How long one question for work is open. */
const ASK_MS = 5000
const HELD = 100_000

/** Work of batches, done by whoever asks for it first. A stream keeps it until it is done. */
export class NatsWork {
  readonly #link: NatsLink
  readonly #stream: string
  readonly #prefix: string
  readonly #held = new Set<JsMsg>()
  readonly #signs: NodeJS.Timeout
  #consumer: Consumer | undefined

  constructor(link: NatsLink, name: string) {
    this.#link = link
    this.#stream = `fewstep-${name}`
    this.#prefix = `fewstep.${name}.`
    this.#signs = setInterval(() => {
      for (const message of this.#held) message.working()
    }, SIGN_OF_LIFE_MS).unref()
  }

  async create(): Promise<void> {
    await this.#link.ensureStream({
      name: this.#stream,
      subjects: [`${this.#prefix}*`],
      storage: StorageType.File,
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      discard_new_per_subject: true,
      max_msgs_per_subject: ROOM
    })
    await this.#link.manager.consumers.add(this.#stream, {
      durable_name: 'servers',
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(SILENCE_MS),
      max_ack_pending: HELD
    })
  }

  /** Waits while there is no room, until aborted. */
  async put(batchId: string, data: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const published = this.#link.client.publish(this.#prefix + batchId, data)
      if (await published.catch(unless(refusals.full))) return
      await setTimeout(LOOK_MS, undefined, { signal })
    }
  }

  /** Unless work of the batch waits or is held. */
  async putOnce(batchId: string): Promise<void> {
    const expect = { lastSubjectSequence: 0 }
    const published = this.#link.client.publish(this.#prefix + batchId, '', { expect })
    await published.catch(unless(refusals.wrongRevision))
  }

  /** Undefined once aborted. What was taken is then no longer held, and comes again. */
  async take(signal: AbortSignal): Promise<HeldWork | undefined> {
    while (!signal.aborted) {
      const { consumers } = this.#link.client
      this.#consumer ??= await consumers.get(this.#stream, 'servers')
      const asked = this.#consumer.next({ expires: ASK_MS })
      const message = await unlessAborted(asked, signal)
      if (message) return this.#hold(message, signal)
    }
    return undefined
  }

  async drop(batchId: string): Promise<void> {
    const { streams } = this.#link.manager
    const ofBatch = { next_by_subj: this.#prefix + batchId }
    // One by one: when it purges a subject, NATS 2.9 passes over what waits of all others.
    for (let seq = 1; ; seq++) {
      const message = await streams.getMessage(this.#stream, { ...ofBatch, seq })
      if (!message) return
      seq = message.seq
      await streams.deleteMessage(this.#stream, seq, false).catch(unless(refusals.noMessage))
    }
  }

  close(): void {
    clearInterval(this.#signs)
    for (const message of this.#held) message.nak()
  }

  #hold(message: JsMsg, signal: AbortSignal): HeldWork {
    const held = this.#held
    const release = () => {
      held.delete(message)
      message.nak()
    }
    held.add(message)
    signal.addEventListener('abort', release, { once: true })
    return {
      batchId: message.subject.slice(this.#prefix.length),
      data: message.data,
      again: message.redelivered,
      done() {
        held.delete(message)
        signal.removeEventListener('abort', release)
        message.ack()
      }
    }
  }
}

/** What comes too late is given back. */
async function unlessAborted(asked: Promise<JsMsg | null>, signal: AbortSignal): Promise<JsMsg | null> {
  const answered = new AbortController()
  const aborted = once(signal, 'abort', { signal: answered.signal }).then(() => null)
  aborted.catch(() => {}) // nobody waits for it any more
  try {
    return await Promise.race([asked, aborted])
  } finally {
    answered.abort()
    if (signal.aborted)
      void asked.then(
        (message) => message?.nak(),
        () => {}
      )
  }
}
