/**
 * Share of positions still masked at time t: 1 at t = 1, 0 at t = 0 (MDLM, arXiv 2406.07524, section 3: 1 - alpha_t).
 * The keys are the manifest's names.
 */
export const noiseSchedules = {
  'log-linear': (t: number): number => t
} as const satisfies Record<string, (t: number) => number>

export type NoiseScheduleName = keyof typeof noiseSchedules
