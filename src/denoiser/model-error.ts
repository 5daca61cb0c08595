/** A model folder that cannot be served: one line that names file and field. */
export class ModelError extends Error {
  override readonly name = 'ModelError'
}

/** The device that was asked for cannot be had: one line that says why. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError'
}
