import type { BatchResult } from '../answers.js'
import type { LineCounts } from './batch-queue.js'
import { isUntaken, type NatsLink } from './nats-link.js'
import { NatsTable } from './nats-table.js'

/**
 * Results of lines: a table for each batch that is in work, which goes when the batch ends. Line n is at line.n; if it failed, failed.n is there, too,
 * so that both kinds can be counted without reading them.
 */
export class NatsResults {
  readonly #link: NatsLink

  constructor(link: NatsLink) {
    this.#link = link
  }

  /** Makes room for the results of a batch. */
  create(batchId: string): Promise<void> {
    return this.#of(batchId).create()
  }

  /**
   * The first one of a line is kept.
   * @returns whether it is this one; undefined where there is no room for any of the batch
   */
  async put(batchId: string, line: number, result: BatchResult): Promise<boolean | undefined> {
    const table = this.#of(batchId)
    try {
      const first = (await table.put(`line.${line}`, JSON.stringify(result), 0)) !== undefined
      if (first && result.error !== null) await table.put(`failed.${line}`, '')
      return first
    } catch (error) {
      if (isUntaken(error)) return undefined
      throw error
    }
  }

  async get(batchId: string, line: number): Promise<BatchResult | undefined> {
    const entry = await this.#of(batchId).get(`line.${line}`)
    return entry && JSON.parse(new TextDecoder().decode(entry.value))
  }

  async counts(batchId: string): Promise<LineCounts> {
    const { size, found } = await this.#of(batchId).survey('failed.*')
    const completed = Math.max(0, size - 2 * found.length) // others may fail between the two counts
    return { completed, failed: found.length }
  }

  drop(batchId: string): Promise<void> {
    return this.#of(batchId).drop()
  }

  #of(batchId: string): NatsTable {
    return new NatsTable(this.#link, 'results', batchId)
  }
}
