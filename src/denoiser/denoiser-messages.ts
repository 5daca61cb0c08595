import type { Device, Pass, Revealed } from './denoiser.js'

/** What the denoiser's process is started with. */
export interface ProcessOptions {
  readonly folder: string
  readonly device: 'auto' | Device
  readonly threads: number
}

export interface PassMessage {
  readonly id: number
  readonly pass: Pass
}

export type ProcessMessage =
  | { readonly type: 'ready'; readonly device: Device; readonly fallback: string | null }
  | { readonly type: 'unusable'; readonly name: string; readonly message: string }
  | { readonly type: 'revealed'; readonly id: number; readonly revealed: Revealed }
  | { readonly type: 'failed'; readonly id: number; readonly message: string }
