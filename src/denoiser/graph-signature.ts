import type { InferenceSession } from 'onnxruntime-node'
import type { Manifest } from './manifest.js'
import { ModelError } from './model-error.js'

type Values = InferenceSession['inputMetadata']

/** Name to type and number of dimensions. */
type Signature = Readonly<Record<string, readonly [type: string, dimensions: number]>>

const inputs: Signature = {
  tokens: ['int32', 2], // (B, L)
  lengths: ['int32', 1], // (B)
  rows: ['int32', 1], // (R)
  coins: ['float64', 1], // (R)
  temperature: ['float32', 1], // (R)
  top_p: ['float32', 1], // (R)
  top_k: ['int32', 1], // (R)
  filtered: ['bool', 0],
  alternatives: ['bool', 0]
}

const mixtureInputs: Signature = { ...inputs, lambda: ['float32', 1] } // (B)

const outputs: Signature = {
  revealed: ['int32', 1], // (R)
  probability: ['float32', 1], // (R)
  alternative_tokens: ['int32', 2], // (R or 0, K)
  alternative_probabilities: ['float32', 2] // (R or 0, K)
}

/** @throws {ModelError} one line that names the file and the input or output that is not as expected */
export function checkSignature(session: InferenceSession, path: string, kind: Manifest['kind']): void {
  const wrong =
    mismatch('input', kind === 'mixture' ? mixtureInputs : inputs, session.inputMetadata) ??
    mismatch('output', outputs, session.outputMetadata)
  if (wrong) throw new ModelError(`${path}: ${wrong}`)
}

function mismatch(what: string, signature: Signature, values: Values): string | undefined {
  const expected = new Map(
    Object.entries(signature).map(([name, [type, rank]]) => [name, inWords(type, rank)])
  )
  const got = new Map(
    values.map((value) => [
      value.name,
      value.isTensor ? inWords(value.type, value.shape.length) : 'no tensor'
    ])
  )
  for (const name of [...expected.keys(), ...got.keys()]) {
    if (expected.get(name) === got.get(name)) continue
    return `${what} "${name}": expected ${expected.get(name) ?? 'no such'}, got ${got.get(name) ?? 'none'}`
  }
  return undefined
}

const inWords = (type: string, rank: number) => `${type} of ${rank} dimension${rank === 1 ? '' : 's'}`
