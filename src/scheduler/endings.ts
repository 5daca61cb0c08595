/** How sequences end, and why: all there is, so that each is counted from 0. */
export const noEndings = () => ({
  completed: { done: 0, stop: 0, deadline: 0 },
  cancelled: { left: 0, stalled: 0, cancelled: 0, shutdown: 0, request_failed: 0 },
  refused: { queue: 0, backlog: 0, deadline: 0, outage: 0, draining: 0 },
  failed: { denoiser: 0 }
})

export type Endings = ReturnType<typeof noEndings>
export type Outcome = keyof Endings

/** However they came to it. */
export function totals(endings: Endings): Record<Outcome, number> {
  const sum = (reasons: Record<string, number>) =>
    Object.values(reasons).reduce((total, count) => total + count, 0)
  const { completed, cancelled, refused, failed } = endings
  return {
    completed: sum(completed),
    cancelled: sum(cancelled),
    refused: sum(refused),
    failed: sum(failed)
  }
}
