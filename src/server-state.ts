/** What the server can tell of itself, for readiness and metrics. */
import type { Denoiser } from './denoiser/denoiser.js'

export type Phase = 'loading' | 'ready' | 'draining'

/** A denoiser that knows how it is. */
export interface ServedDenoiser extends Denoiser {
  /** False while its process starts, for the first time or again. */
  readonly ready: boolean
  /** Of its processes, those that take passes. */
  readonly readyProcesses: number
  /** Why it runs on the CPU though a GPU was looked for. */
  readonly fallback: string | null
  /** Times a process of it was replaced. */
  readonly restarts: number
}
