import type { Device } from './denoiser.js'
import type { Manifest } from './manifest.js'

/** One form of a model: a graph with its files, of some precision, for some devices. */
export type Variant = Manifest['variants'][number]

/** The first variant made for the device. */
export function chooseVariant({ variants }: Manifest, device: Device): Variant | undefined {
  return variants.find(({ devices }) => devices.includes(device))
}
