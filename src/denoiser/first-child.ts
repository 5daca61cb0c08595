import { missingCudaProvider } from './cuda-provider.js'
import type { Device } from './denoiser.js'
import { type ChildOptions, DenoiserChild } from './denoiser-child.js'
import { DeviceError } from './model-error.js'
import { chooseVariant } from './variant.js'

export interface FirstChild {
  readonly child: DenoiserChild
  /** What it was started with, to start its successors the same way. */
  readonly options: ChildOptions
  /** Why `auto` chose the CPU. */
  readonly fallback: string | null
}

type Options = Omit<ChildOptions, 'device'>

/** Decides on the device by trying: a GPU that cannot be used may take its process down, never this one. */
export async function startFirst(device: 'auto' | Device, options: Options): Promise<FirstChild> {
  if (device !== 'auto') return startOn(device, options, null)
  const reason = whyNoCuda(options)
  if (reason) return startOn('cpu', options, reason)
  try {
    return await startOn('cuda', options, null)
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error
    return startOn('cpu', options, error.message)
  }
}

/** What can be known without trying, which takes a process and a second. */
function whyNoCuda({ manifest }: Options): string | undefined {
  return chooseVariant(manifest, 'cuda') ? missingCudaProvider() : 'the model has no variant for cuda'
}

async function startOn(device: Device, options: Options, fallback: string | null): Promise<FirstChild> {
  const own = { ...options, device }
  return { child: await DenoiserChild.start(own), options: own, fallback }
}
