/** What a denoiser's process and its owner say to each other: one question, one answer with the same id. */
import { ALTERNATIVES, type Device, type Pass, type Revealed } from './denoiser.js'
import type { Manifest } from './manifest.js'

/** The first question: open this model, whose folder is known to be in order. */
export interface LoadQuestion {
  readonly type: 'load'
  readonly folder: string
  readonly manifest: Manifest
  readonly device: Device
  readonly deviceId: number
  readonly threads: number
}

export interface PassQuestion {
  readonly type: 'pass'
  readonly pass: Pass
}

export type Question = LoadQuestion | PassQuestion

interface Loaded {
  readonly type: 'loaded'
}

interface PassRevealed {
  readonly type: 'revealed'
  readonly revealed: Revealed
}

interface Failed {
  readonly type: 'failed'
  readonly name: string
  readonly message: string
}

export type Answer = Loaded | PassRevealed | Failed
export type AnswerTo<Q extends Question> = Q extends PassQuestion ? PassRevealed : Loaded

interface Asked {
  readonly id: number
  readonly question: Question
}

/** Whether a message answers what was asked, in kind and shape. What comes from a process is checked, not believed. */
export function isAnswer(message: unknown, { id, question }: Asked, manifest: Manifest): message is Answer {
  if (!isRecord(message) || message.id !== id) return false
  if (message.type === 'failed') {
    return typeof message.name === 'string' && typeof message.message === 'string'
  }
  if (question.type === 'load') return message.type === 'loaded'
  return message.type === 'revealed' && fits(message.revealed, question.pass, manifest)
}

function fits(revealed: unknown, pass: Pass, { trained_vocabulary }: Manifest): boolean {
  if (!isRecord(revealed)) return false
  const rows = pass.rows.length
  const alternatives = pass.alternatives ? rows * Math.min(ALTERNATIVES, trained_vocabulary) : 0
  return (
    isArray(revealed.tokens, Int32Array, rows) &&
    isArray(revealed.probabilities, Float32Array, rows) &&
    isArray(revealed.alternativeTokens, Int32Array, alternatives) &&
    isArray(revealed.alternativeProbabilities, Float32Array, alternatives) &&
    typeof revealed.passMs === 'number'
  )
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

const isArray = (value: unknown, type: typeof Int32Array | typeof Float32Array, length: number) =>
  value instanceof type && value.length === length
