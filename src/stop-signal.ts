import { constants } from 'node:os'

/** One Ctrl-C under npm arrives twice, from the terminal and from npm. */
const SAME_PRESS_MS = 500

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined
    const stop = (signal: 'SIGTERM' | 'SIGINT') => {
      first ??= performance.now()
      if (performance.now() - first > SAME_PRESS_MS) process.exit(128 + constants.signals[signal])
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}
