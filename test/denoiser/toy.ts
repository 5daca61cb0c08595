import { readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import type { Test } from 'tap'
import type { Pass } from '../../src/denoiser/denoiser.js'

/** The toy models of test/fixtures, and the numbers that Python's reference gives for them. */
export const toys = {
  mixture: 'test/fixtures/models/toy-mixture',
  product: 'test/fixtures/models/toy-product'
} as const

/** A copy of the mixture that a test may break. */
export async function copyToy(t: Test): Promise<string> {
  const folder = t.testdir()
  await cp(toys.mixture, folder, { recursive: true })
  return folder
}

export interface GoldenPass {
  readonly length: number
  readonly tokens: number[]
  readonly lengths: number[]
  readonly lambda?: number[]
  readonly rows: number[]
  readonly coins: number[]
  readonly temperature: number[]
  readonly top_p: number[]
  readonly top_k: number[]
  readonly expected: {
    readonly revealed: number[]
    readonly probability: number[]
    readonly alternative_tokens: number[][]
    readonly alternative_probabilities: number[][]
  }
}

export interface Golden {
  readonly passes: GoldenPass[]
  readonly law: { readonly steps: Readonly<Record<string, Readonly<Record<string, number>>>> }
}

export const golden = JSON.parse(readFileSync('test/fixtures/golden.json', 'utf8')) as Record<
  'toy-mixture' | 'toy-product',
  Golden
>

export function toPass(given: GoldenPass, alternatives: boolean): Pass {
  return {
    length: given.length,
    tokens: Int32Array.from(given.tokens),
    lengths: Int32Array.from(given.lengths),
    lambda: Float32Array.from(given.lambda ?? given.lengths.map(() => 0)),
    rows: Int32Array.from(given.rows),
    coins: Float64Array.from(given.coins),
    temperature: Float32Array.from(given.temperature),
    topP: Float32Array.from(given.top_p),
    topK: Int32Array.from(given.top_k),
    alternatives
  }
}

/** The part of a pass that belongs to one of its sequences, as a pass of its own, and which rows it has. */
export function alone(pass: Pass, b: number): { pass: Pass; rows: number[] } {
  const rows = [...pass.rows.keys()].filter((r) => Math.floor(pass.rows[r]! / pass.length) === b)
  const pick = <T>(values: ArrayLike<T>) => rows.map((r) => values[r]!)
  return {
    rows,
    pass: {
      length: pass.length,
      tokens: pass.tokens.slice(b * pass.length, (b + 1) * pass.length),
      lengths: pass.lengths.slice(b, b + 1),
      lambda: pass.lambda.slice(b, b + 1),
      rows: Int32Array.from(pick(pass.rows), (row) => row - b * pass.length),
      coins: Float64Array.from(pick(pass.coins)),
      temperature: Float32Array.from(pick(pass.temperature)),
      topP: Float32Array.from(pick(pass.topP)),
      topK: Int32Array.from(pick(pass.topK)),
      alternatives: pass.alternatives
    }
  }
}
