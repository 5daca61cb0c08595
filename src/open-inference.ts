/**
 * The contract of the Open Inference Protocol (KServe's v2), as far as texts go: a tensor of prompts in, tensors of texts
 * out, and its text generation extension. It says what fewstep's own routes say, in that protocol's shapes.
 */
import Type, { type Static } from 'typebox'
import { CompletionRequest, ref, Timings } from './schemas.js'

const { steps, temperature, top_p, top_k, seed, deadline_ms, max_tokens, suffix, stop } =
  CompletionRequest.properties
const sampling = { steps, temperature, top_p, top_k, seed, deadline_ms, suffix, stop }
const strict = { additionalProperties: false }

const effective = {
  seed: Type.Integer({ description: 'Send it back to get the same text.' }),
  temperature: Type.Number(),
  top_p: Type.Number(),
  top_k: Type.Integer(),
  steps: Type.Integer()
}

/** What clients say of their own accord, where it asks for what is done in any case. */
const TensorParameters = Type.Optional(
  Type.Object(
    {
      content_type: Type.Optional(Type.Literal('str', { description: 'BYTES are UTF-8.' })),
      binary_data: Type.Optional(Type.Literal(false, { description: 'Tensors go as JSON.' }))
    },
    strict
  )
)

const requestId = Type.Optional(Type.String({ description: 'Comes back in the answer.' }))

const outputNames = ['text', 'finish_reason'] as const
export type OutputName = (typeof outputNames)[number]
const outputName = Type.Unsafe<OutputName>(Type.Enum([...outputNames], { type: 'string' }))

export const PromptTensor = Type.Object(
  {
    name: Type.Literal('prompt'),
    datatype: Type.Literal('BYTES'),
    shape: Type.Array(Type.Integer({ minimum: 0 }), { description: '[n] or [n, 1] for n prompts.' }),
    data: Type.Array(Type.Union([Type.String(), Type.Array(Type.String())]), { minItems: 1 }),
    parameters: TensorParameters
  },
  strict
)
export type PromptTensor = Static<typeof PromptTensor>

export const InferRequest = Type.Object(
  {
    id: requestId,
    parameters: Type.Optional(Type.Object({ ...sampling, max_tokens }, strict)),
    inputs: Type.Array(PromptTensor, { minItems: 1, maxItems: 1 }),
    outputs: Type.Optional(
      Type.Array(Type.Object({ name: outputName, parameters: TensorParameters }, strict), {
        maxItems: outputNames.length,
        description: 'The tensors that are wanted, each once; all unless given.'
      })
    )
  },
  { $id: 'InferRequest', ...strict }
)
export type InferRequest = Static<typeof InferRequest>

export const InferAnswer = Type.Object(
  {
    model_name: Type.String(),
    id: requestId,
    parameters: Type.Object(effective, { description: 'What was drawn or defaulted.' }),
    outputs: Type.Array(
      Type.Object({
        name: outputName,
        datatype: Type.Literal('BYTES'),
        shape: Type.Array(Type.Integer()),
        data: Type.Array(Type.String())
      })
    )
  },
  { $id: 'InferAnswer' }
)
export type InferAnswer = Static<typeof InferAnswer>

export const GenerateRequest = Type.Object(
  {
    text_input: Type.String({ description: 'The prompt.' }),
    parameters: Type.Optional(
      Type.Object(
        {
          ...sampling,
          max_tokens: Type.Optional(
            Type.Integer({ minimum: 1, description: 'Length in tokens. Default 20, as the protocol has it.' })
          ),
          details: Type.Optional(
            Type.Boolean({
              description: 'Tell `details`; in a stream with a last event, whose text is empty.'
            })
          )
        },
        strict
      )
    )
  },
  { $id: 'GenerateRequest', ...strict }
)
export type GenerateRequest = Static<typeof GenerateRequest>

export const GenerateAnswer = Type.Object(
  {
    model_name: Type.String(),
    text_output: Type.String({ description: 'In a stream: what became final since the last event.' }),
    details: Type.Optional(
      Type.Object({
        finish_reason: Type.Enum(['length', 'eos_token', 'stop_sequence'], { type: 'string' }),
        logprobs: Type.Array(
          Type.Object({
            id: Type.Integer(),
            text: Type.String(),
            logprob: Type.Number(),
            special: Type.Boolean()
          })
        ),
        ...effective,
        timings: ref(Timings)
      })
    )
  },
  { $id: 'GenerateAnswer' }
)
export type GenerateAnswer = Static<typeof GenerateAnswer>

const TensorMetadata = Type.Object({
  name: Type.String(),
  datatype: Type.Literal('BYTES'),
  shape: Type.Array(Type.Integer({ description: '-1 where any size will do.' }))
})

export const ModelMetadata = Type.Object(
  {
    name: Type.String(),
    platform: Type.Literal('onnx_onnxv1'),
    inputs: Type.Array(TensorMetadata),
    outputs: Type.Array(TensorMetadata)
  },
  { $id: 'ModelMetadata' }
)
export type ModelMetadata = Static<typeof ModelMetadata>

const tensor = (name: string) => ({ name, datatype: 'BYTES' as const, shape: [-1] })

/** The tensors of every model. */
export const tensors = { inputs: [tensor('prompt')], outputs: outputNames.map(tensor) }

export const ServerMetadata = Type.Object(
  { name: Type.String(), version: Type.String(), extensions: Type.Array(Type.String()) },
  { $id: 'ServerMetadata' }
)

export const OpenInferenceError = Type.Object(
  { error: Type.String({ description: 'Which field, what was expected and what came.' }) },
  { $id: 'OpenInferenceError' }
)
