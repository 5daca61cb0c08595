/**
 * The published rules of the Open Inference Protocol for the bodies that a server sends (specification/protocol of
 * kserve/open-inference-protocol: open_inference_rest.yaml, generate_rest.yaml), written down anew: what must be there,
 * and of which type. Fewstep's own schemas are stricter; these do not know them.
 */
import Type from 'typebox'

const integers = Type.Array(Type.Integer())
const tensorMetadata = Type.Object({ name: Type.String(), datatype: Type.String(), shape: integers })
const parameters = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]))

export const protocol = {
  serverMetadata: Type.Object({
    name: Type.String(),
    version: Type.String(),
    extensions: Type.Array(Type.String())
  }),
  modelMetadata: Type.Object({
    name: Type.String(),
    versions: Type.Optional(Type.Array(Type.String())),
    platform: Type.String(),
    inputs: Type.Array(tensorMetadata),
    outputs: Type.Array(tensorMetadata)
  }),
  modelReady: Type.Object({ name: Type.String(), ready: Type.Boolean() }),
  serverLive: Type.Object({ live: Type.Boolean() }),
  infer: Type.Object({
    model_name: Type.String(),
    model_version: Type.Optional(Type.String()),
    id: Type.Optional(Type.String()),
    parameters: Type.Optional(parameters),
    outputs: Type.Array(
      Type.Object({
        name: Type.String(),
        datatype: Type.Enum(['BOOL', 'INT64', 'FP32', 'FP64', 'BYTES']),
        shape: integers,
        parameters: Type.Optional(parameters),
        data: Type.Array(Type.Union([Type.Number(), Type.String(), Type.Boolean()]))
      })
    )
  }),
  generate: Type.Object({
    text_output: Type.String(),
    model_name: Type.String(),
    model_version: Type.Optional(Type.String()),
    details: Type.Optional(
      Type.Object({
        finish_reason: Type.Enum(['length', 'eos_token', 'stop_sequence']),
        logprobs: Type.Array(
          Type.Object({
            id: Type.Integer({ minimum: 0 }),
            text: Type.String(),
            logprob: Type.Number(),
            special: Type.Boolean()
          })
        )
      })
    )
  }),
  error: Type.Object({ error: Type.String() })
}
