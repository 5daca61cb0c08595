import type { Result } from './measurement.js'

/** What a measurement leaves: `--json` writes it, and the report is made of it. */
export interface MeasuredDocument {
  readonly fewstep: string
  readonly date: string
  readonly machine: string
  /** To measure the same again. */
  readonly command: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly results: readonly Result[]
}
