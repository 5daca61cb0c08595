/**
 * The contract: every body and event, in and out. Types, validation and OpenAPI come from here.
 * A schema constant and its type share a name; field docs live in `description`, nowhere else.
 */
import Type, { type Static, type TSchema } from 'typebox'

/** `$ref` in OpenAPI, the full type in TypeScript. */
export const ref = <T extends TSchema>(schema: T & { $id?: string }) =>
  Type.Unsafe<Static<T>>(Type.Ref(schema.$id!))

/** OpenAI's clients may send null for "not set". The description is the field's, not that of one of its types. */
const nullable = <T extends TSchema & { description?: string }>(schema: T) => {
  const { description, ...bare } = schema
  return Type.Optional(Type.Union([bare as unknown as T, Type.Null()], description ? { description } : {}))
}

const Token = Type.Integer({ minimum: 0, title: 'token id' })

// --- What a client may ask of the sampler, alike for every kind of request ------------------------------

const sampling = {
  model: nullable(
    Type.String({ description: 'Name or alias of a served model; the first served one unless given.' })
  ),
  steps: nullable(
    Type.Integer({
      minimum: 1,
      description: "Denoising steps: more steps, better text, more time. The model's default unless given."
    })
  ),
  temperature: nullable(
    Type.Number({
      minimum: 0,
      maximum: 2,
      description: '0 takes the likeliest token at every reveal. Default 1.'
    })
  ),
  top_p: nullable(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description:
        'Sample from the smallest set of tokens whose probability reaches this share. Default 1 (all).'
    })
  ),
  top_k: nullable(
    Type.Integer({
      minimum: 0,
      description: 'Sample from this many likeliest tokens; 0, the default, means all.'
    })
  ),
  seed: nullable(
    Type.Integer({
      minimum: Number.MIN_SAFE_INTEGER,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Same seed and request, same text, whatever else the server is doing. Random unless given.'
    })
  ),
  deadline_ms: nullable(
    Type.Integer({
      minimum: 1,
      description:
        'Answer within this time: fewer steps when not all will fit, and when it strikes the rest is filled in one last pass (finish_reason "deadline"). Refused at once when it cannot be met.'
    })
  ),
  user: nullable(Type.String({ description: 'Accepted for compatibility; not used.' }))
}

export const CompletionRequest = Type.Object(
  {
    ...sampling,
    prompt: nullable(
      Type.Union(
        [
          Type.String(),
          Type.Array(Type.String(), { minItems: 1 }),
          Type.Array(Token, { minItems: 1 }),
          Type.Array(Type.Array(Token, { minItems: 1 }), { minItems: 1 })
        ],
        {
          description:
            'Text the completion follows: a string, strings, token ids, or lists of token ids. Default "".'
        }
      )
    ),
    suffix: nullable(
      Type.String({ description: 'Text that comes after the completion (infill between prompt and suffix).' })
    ),
    max_tokens: nullable(
      Type.Integer({ minimum: 1, description: 'Length of the completion in tokens. Default 128.' })
    ),
    n: nullable(Type.Integer({ minimum: 1, description: 'Completions a prompt. Default 1.' })),
    best_of: nullable(
      Type.Integer({
        minimum: 0,
        description:
          'Write this many completions and return the `n` likeliest a token. 0 means `n`. Not with `stream`.'
      })
    ),
    echo: nullable(Type.Boolean({ description: 'Return the prompt before the completion.' })),
    logprobs: nullable(
      Type.Integer({
        minimum: 0,
        maximum: 5,
        description:
          'Log-probabilities of the tokens and of this many alternatives, as they stood when each was revealed.'
      })
    ),
    stop: nullable(
      Type.Union(
        [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { maxItems: 4 })],
        {
          description: 'Up to four strings; the text ends before the first one that occurs.'
        }
      )
    ),
    stream: nullable(Type.Boolean({ description: 'Answer as server-sent events.' })),
    stream_options: nullable(
      Type.Object(
        {
          include_usage: nullable(
            Type.Boolean({ description: 'End the stream with a chunk that carries `usage`.' })
          ),
          include_obfuscation: nullable(
            Type.Boolean({ description: 'Accepted for compatibility; not used.' })
          )
        },
        { additionalProperties: false }
      )
    ),
    drafts: nullable(
      Type.Boolean({
        description:
          'With `stream`: also send `sequence-start`, `step-end` and `sequence-end` as typed events.'
      })
    ),
    frequency_penalty: nullable(Type.Number({ description: 'Only 0 is supported.' })),
    presence_penalty: nullable(Type.Number({ description: 'Only 0 is supported.' })),
    logit_bias: nullable(
      Type.Record(Type.String(), Type.Number(), { description: 'Only empty or all zero is supported.' })
    )
  },
  { $id: 'CompletionRequest', additionalProperties: false }
)
export type CompletionRequest = Static<typeof CompletionRequest>

export const Hole = Type.Object(
  { mask: Type.Integer({ minimum: 1, description: 'Length of the hole in tokens; it is filled exactly.' }) },
  { title: 'hole such as {"mask": 12}', additionalProperties: false }
)
export type Hole = Static<typeof Hole>

export const InfillRequest = Type.Object(
  {
    ...sampling,
    template: Type.Array(Type.Union([Type.String(), Type.Array(Token, { minItems: 1 }), Hole]), {
      minItems: 1,
      description:
        'Text and holes in order: `["Once ", {"mask": 12}, " the end."]`. Text may be given as token ids.'
    }),
    alternatives: nullable(
      Type.Integer({
        minimum: 0,
        maximum: 5,
        description: 'Alternatives to report for each revealed token. Default 0.'
      })
    ),
    stream: nullable(
      Type.Boolean({
        description: 'Answer as server-sent events (`sequence-start`, `step-end`, `sequence-end`).'
      })
    )
  },
  { $id: 'InfillRequest', additionalProperties: false }
)
export type InfillRequest = Static<typeof InfillRequest>

// --- Offline batches ---------------------------------------------------------------------------------

export const batchUrls = ['/v1/completions', '/v1/infill'] as const
const BatchUrl = Type.Enum([...batchUrls], { type: 'string' })

export const BatchLine = Type.Object(
  {
    custom_id: Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'Chosen by the client; no other line of the file has it.'
    }),
    method: Type.Literal('POST'),
    url: BatchUrl,
    body: Type.Object({}, { additionalProperties: true, description: 'As `url` takes it, without a stream.' })
  },
  { $id: 'BatchLine', additionalProperties: false }
)
export type BatchLine = Static<typeof BatchLine>

const Lifetime = Type.Object(
  {
    anchor: Type.Literal('created_at'),
    seconds: Type.Integer({ minimum: 1, maximum: 2_592_000 })
  },
  { additionalProperties: false }
)

export const BatchRequest = Type.Object(
  {
    input_file_id: Type.String({ description: 'A file with the purpose `batch`: a request a line.' }),
    endpoint: BatchUrl,
    completion_window: Type.String({
      pattern: '^[1-9][0-9]{0,5}[smhd]$',
      description:
        'How long it may take, such as 24h, 30d at most; lines that are not done by then fail with `batch_expired`.'
    }),
    metadata: nullable(
      Type.Record(Type.String(), Type.String({ maxLength: 512 }), {
        maxProperties: 16,
        propertyNames: { maxLength: 64 },
        title: 'object of at most 16 strings, with names of at most 64 characters',
        description: 'Given back with the batch.'
      })
    ),
    output_expires_after: Type.Optional(Lifetime)
  },
  { $id: 'BatchRequest', additionalProperties: false }
)
export type BatchRequest = Static<typeof BatchRequest>

export const TokenizeRequest = Type.Object(
  {
    model: sampling.model,
    text: Type.String({ maxLength: 16_384, description: 'Special tokens written in it stay text.' })
  },
  { $id: 'TokenizeRequest', additionalProperties: false }
)
export type TokenizeRequest = Static<typeof TokenizeRequest>

export const DetokenizeRequest = Type.Object(
  { model: sampling.model, tokens: Type.Array(Token, { maxItems: 16_384 }) },
  { $id: 'DetokenizeRequest', additionalProperties: false }
)
export type DetokenizeRequest = Static<typeof DetokenizeRequest>

export const StreamHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      maxLength: 4096,
      description: 'With `stream`: go on behind this event of the same request, whose connection was lost.'
    })
  )
})

// --- Events: the same names as SSE `event:` and WebSocket `type` ------------------------------------------

export const Alternative = Type.Object({ token: Token, text: Type.String(), probability: Type.Number() })
export type Alternative = Static<typeof Alternative>

export const Reveal = Type.Object(
  {
    position: Type.Integer({
      description: 'Index in the whole text in tokens: prompt, holes and suffix counted, from 0.'
    }),
    token: Token,
    text: Type.String({
      description: 'This token alone as text (U+FFFD where it is a part of a character).'
    }),
    probability: Type.Number({
      description: 'Of this token under the plain distribution, when it was revealed.'
    }),
    step: Type.Integer({ description: 'The step that revealed it, from 1.' }),
    alternatives: Type.Optional(Type.Array(Alternative))
  },
  { $id: 'Reveal' }
)
export type Reveal = Static<typeof Reveal>

const sequence = {
  id: Type.String({ description: 'The request: chosen by the client on a WebSocket, else by the server.' }),
  index: Type.Integer({ description: 'Which text of the request, from 0.' }),
  event_id: Type.Optional(
    Type.String({
      description: 'WebSocket: what `last_event_id` takes to go on behind this event. SSE has it as `id:`.'
    })
  )
}

export const SequenceStart = Type.Object(
  {
    type: Type.Literal('sequence-start'),
    ...sequence,
    model: Type.String(),
    seed: Type.Integer({ description: 'Send it back to get the same text.' }),
    length: Type.Integer({ description: 'Tokens of the whole text: prompt, holes and suffix.' }),
    holes: Type.Array(Type.Object({ start: Type.Integer(), length: Type.Integer() }), {
      description: 'Where the text is masked: first position and number of positions.'
    }),
    steps: Type.Integer({
      description: 'Steps it will take (a window, where the text is longer than the context).'
    }),
    passes: Type.Integer({ description: 'Passes it will share in: steps that reveal nothing cost none.' }),
    rows: Type.Integer({ description: 'Positions to reveal.' }),
    temperature: Type.Number(),
    top_p: Type.Number(),
    top_k: Type.Integer()
  },
  { $id: 'SequenceStart' }
)
export type SequenceStart = Static<typeof SequenceStart>

export const StepEnd = Type.Object(
  {
    type: Type.Literal('step-end'),
    ...sequence,
    step: Type.Integer({
      description: 'The step that ended, from 1. A slow reader gets several steps as one event.'
    }),
    of: Type.Integer({ description: 'Steps in all.' }),
    t: Type.Number({ description: 'Time after the step, from 1 (all masked) to 0 (all revealed).' }),
    reveals: Type.Array(ref(Reveal)),
    masked: Type.Integer({ description: 'Positions still masked.' }),
    delta: Type.Optional(
      Type.String({
        description: 'Completions: text that became final at the front. All deltas together are the text.'
      })
    )
  },
  { $id: 'StepEnd' }
)
export type StepEnd = Static<typeof StepEnd>

export const FinishReason = Type.Enum(['stop', 'length', 'deadline'], { type: 'string' })
export type FinishReason = Static<typeof FinishReason>

export const Usage = Type.Object(
  { prompt_tokens: Type.Integer(), completion_tokens: Type.Integer(), total_tokens: Type.Integer() },
  { $id: 'Usage' }
)
export type Usage = Static<typeof Usage>

export const Timings = Type.Object(
  {
    queue_ms: Type.Number({ description: 'Waiting for a place in a batch.' }),
    first_step_ms: Type.Number({ description: 'From the request to its first reveal.' }),
    pass_ms: Type.Number({ description: 'In passes of the denoiser, shared with the rest of the batch.' }),
    total_ms: Type.Number({ description: 'From the request to the whole text.' }),
    passes: Type.Integer({ description: 'Passes it shared in.' })
  },
  { $id: 'Timings' }
)
export type Timings = Static<typeof Timings>

export const SequenceEnd = Type.Object(
  {
    type: Type.Literal('sequence-end'),
    ...sequence,
    text: Type.String({
      description: 'The completion; for an infill, the whole text with its holes filled.'
    }),
    finish_reason: FinishReason,
    usage: ref(Usage),
    timings: ref(Timings)
  },
  { $id: 'SequenceEnd' }
)
export type SequenceEnd = Static<typeof SequenceEnd>

export const Snapshot = Type.Object(
  {
    type: Type.Literal('snapshot'),
    ...sequence,
    step: Type.Integer(),
    of: Type.Integer(),
    t: Type.Number(),
    reveals: Type.Array(ref(Reveal), { description: 'Everything revealed so far.' }),
    masked: Type.Integer()
  },
  { $id: 'Snapshot' }
)
export type Snapshot = Static<typeof Snapshot>

export type SequenceEvent = SequenceStart | StepEnd | SequenceEnd
