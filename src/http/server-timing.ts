import type { Timings } from '../schemas.js'

/** Where the time of a request went, as a `server-timing` header that browsers show; of several texts the longest. */
export function serverTiming(texts: readonly Timings[]): string {
  const most = (name: keyof Timings) => Math.max(...texts.map((timings) => timings[name]))
  return `queue;dur=${most('queue_ms')}, first-step;dur=${most('first_step_ms')}, passes;dur=${most('pass_ms')}, total;dur=${most('total_ms')}`
}
