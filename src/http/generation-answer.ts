/** What the answers to completions and infills have in common. */
import { createHash, randomUUID } from 'node:crypto'
import type { Generation, ServedModel } from '../engine.js'
import type { SequenceEnd, SequenceStart } from '../schemas.js'
import type { TextEnd, TextEvent } from '../text/text.js'
import { fewstepVersion } from '../version.js'

export interface FinishedText {
  readonly start: SequenceStart
  readonly end: TextEnd
}

/** Waits for every text; in order of their index. */
export async function readTexts(generation: Generation): Promise<FinishedText[]> {
  const starts: SequenceStart[] = []
  const ends: TextEnd[] = []
  for await (const event of generation) {
    if (event.type === 'sequence-start') starts[event.index] = event
    if (event.type === 'sequence-end') ends[event.index] = event
  }
  return ends.map((end, index) => ({ start: starts[index]!, end }))
}

/** An event as it goes out: the end of a text without what its reader has seen in its steps. */
export function onTheWire(event: TextEvent): TextEvent | SequenceEnd {
  if (event.type !== 'sequence-end') return event
  const { tokens, holes, cut, promptTokens, ...end } = event
  return end
}

export function newId(prefix: string): string {
  return `${prefix}-${randomUUID().replaceAll('-', '')}`
}

export function unixTime(): number {
  return Math.floor(Date.now() / 1000)
}

/** Changes with whatever may change the text of a seed: the version, the model's files, the device. */
export function systemFingerprint({ denoiser: { manifest, device } }: ServedModel): string {
  const files = manifest.variants
    .filter(({ devices }) => devices.includes(device))
    .flatMap((variant) => variant.files.map(({ sha256 }) => sha256))
  const hash = createHash('sha256').update([fewstepVersion, device, ...files].join())
  return `fp_${hash.digest('hex').slice(0, 12)}`
}

/** What was drawn or defaulted, so that the same text can be had again. */
export function effectiveParameters({ seed, temperature, top_p, top_k }: SequenceStart) {
  return { seed, temperature, top_p, top_k }
}
