import { constants } from 'node:os'

/** One Ctrl-C under npm arrives twice, from the terminal and from npm. */
const SAME_PRESS_MS = 500

/** Resolves with the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: number | undefined
    const stop = (signal: 'SIGTERM' | 'SIGINT') => {
      const again = first !== undefined
      first ??= performance.now()
      const samePress = signal === 'SIGINT' && performance.now() - first <= SAME_PRESS_MS
      if (again && !samePress) process.exit(128 + constants.signals[signal])
      resolve(signal)
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}
