/** The contract's other half: every body that goes out, apart from the events. */
import Type, { type Static } from 'typebox'
import { errorTable } from './errors.js'
import { batchUrls, FinishReason, Reveal, ref, Timings, Usage } from './schemas.js'

const created = Type.Integer({ description: 'Unix time in seconds.' })
const id = Type.String({ description: 'The request, as events and logs name it.' })
const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()])

export const ErrorAnswer = Type.Object(
  {
    error: Type.Object({
      message: Type.String({ description: 'Which field, what was expected and what came.' }),
      type: Type.String(),
      param: nullable(Type.String({ description: 'The field of the request that caused it.' })),
      code: Type.Enum(Object.keys(errorTable), { type: 'string' })
    })
  },
  { $id: 'Error' }
)
export type ErrorAnswer = Static<typeof ErrorAnswer>

/** What was drawn or defaulted for a request: the same values sent back give the same text. */
const effective = {
  seed: Type.Integer({ description: 'Send it back to get the same text.' }),
  temperature: Type.Number(),
  top_p: Type.Number(),
  top_k: Type.Integer()
}

export const Logprobs = Type.Object(
  {
    tokens: Type.Array(Type.String()),
    token_logprobs: Type.Array(nullable(Type.Number()), {
      description: 'Under the plain distribution, when each was revealed; null for tokens of the prompt.'
    }),
    top_logprobs: nullable(
      Type.Array(nullable(Type.Record(Type.String(), Type.Number())), {
        description: 'The likeliest tokens and the revealed one; null unless `logprobs` asks for some.'
      })
    ),
    text_offset: Type.Array(Type.Integer({ description: 'Where the token starts in `text`.' }))
  },
  { $id: 'Logprobs' }
)
export type Logprobs = Static<typeof Logprobs>

export const Choice = Type.Object(
  {
    index: Type.Integer(),
    text: Type.String(),
    logprobs: nullable(ref(Logprobs)),
    finish_reason: nullable(FinishReason),
    fewstep: Type.Optional(
      Type.Object(
        {
          ...effective,
          steps: Type.Integer({ description: 'Steps taken: fewer than asked for when a deadline says so.' }),
          timings: ref(Timings)
        },
        { description: 'With the end of a choice.' }
      )
    )
  },
  { $id: 'Choice' }
)
export type Choice = Static<typeof Choice>

export const Completion = Type.Object(
  {
    id,
    object: Type.Literal('text_completion'),
    created,
    model: Type.String(),
    system_fingerprint: Type.String({ description: 'Changes when the same seed may give another text.' }),
    choices: Type.Array(ref(Choice)),
    usage: Type.Optional(nullable(ref(Usage)))
  },
  { $id: 'Completion' }
)
export type Completion = Static<typeof Completion>

export const FilledHole = Type.Object(
  {
    start: Type.Integer({ description: 'First position, in tokens of the whole text.' }),
    length: Type.Integer(),
    text: Type.String(),
    tokens: Type.Array(ref(Reveal))
  },
  { $id: 'FilledHole' }
)
export type FilledHole = Static<typeof FilledHole>

export const Infill = Type.Object(
  {
    id,
    object: Type.Literal('infill'),
    created,
    model: Type.String(),
    system_fingerprint: Type.String(),
    text: Type.String({ description: 'The whole text, its holes filled.' }),
    holes: Type.Array(ref(FilledHole)),
    finish_reason: FinishReason,
    usage: ref(Usage),
    ...effective,
    steps: Type.Integer(),
    timings: ref(Timings)
  },
  { $id: 'Infill' }
)
export type Infill = Static<typeof Infill>

export const Model = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model'),
    created,
    owned_by: Type.String(),
    aliases: Type.Array(Type.String()),
    kind: Type.Enum(['mixture', 'product'], { type: 'string' }),
    description: Type.String(),
    teacher: nullable(Type.String({ description: 'The model it was distilled from.' })),
    context_length: Type.Integer(),
    steps: Type.Object({ default: Type.Integer(), min: Type.Integer(), max: Type.Integer() }),
    parameters: Type.Integer(),
    licence: Type.String(),
    evaluation: Type.Array(Type.Record(Type.String(), Type.Unknown()))
  },
  { $id: 'Model' }
)
export type Model = Static<typeof Model>

export const ModelList = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(ref(Model)) },
  { $id: 'ModelList' }
)
export type ModelList = Static<typeof ModelList>

export const Tokens = Type.Object(
  {
    model: Type.String(),
    tokens: Type.Array(Type.Integer()),
    texts: Type.Array(Type.String(), { description: 'Each token alone as text.' })
  },
  { $id: 'Tokens' }
)
export type Tokens = Static<typeof Tokens>

export const PlainText = Type.Object({ model: Type.String(), text: Type.String() }, { $id: 'PlainText' })
export type PlainText = Static<typeof PlainText>

export const Readiness = Type.Object(
  {
    status: Type.Enum(['ready', 'loading', 'unavailable', 'draining'], { type: 'string' }),
    models: Type.Array(
      Type.Object({
        name: Type.String(),
        ready: Type.Boolean({ description: 'False while its process is started again.' }),
        outage: nullable(
          Type.String({ description: 'Why it takes no requests: its passes failed again and again.' })
        ),
        device: Type.Enum(['cpu', 'cuda'], { type: 'string' }),
        fallback: nullable(
          Type.String({ description: 'Why it is not on the GPU, where one was looked for.' })
        ),
        restarts: Type.Integer(),
        queued: Type.Integer(),
        running: Type.Integer(),
        backlog_ms: Type.Integer({ description: 'Time in passes that accepted sequences still need.' })
      })
    ),
    batches: Type.Optional(
      Type.Object(
        {
          queue: Type.Enum(['sqlite', 'nats'], { type: 'string' }),
          trouble: nullable(Type.String({ description: 'Why batches wait, where they have to.' }))
        },
        { description: 'Only where offline batches are on.' }
      )
    )
  },
  { $id: 'Readiness' }
)
export type Readiness = Static<typeof Readiness>

const time = (description: string) =>
  nullable(Type.Integer({ description: `Unix time in seconds. ${description}` }))

export const FileObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('file'),
    bytes: Type.Integer(),
    created_at: created,
    expires_at: time('It is gone then; null keeps it.'),
    filename: Type.String(),
    purpose: Type.Enum(['batch', 'batch_output'], { type: 'string' }),
    status: Type.Literal('processed')
  },
  { $id: 'File' }
)
export type FileObject = Static<typeof FileObject>

export const DeletedFile = Type.Object(
  { id: Type.String(), object: Type.Literal('file'), deleted: Type.Literal(true) },
  { $id: 'DeletedFile' }
)
export type DeletedFile = Static<typeof DeletedFile>

export const BatchObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('batch'),
    endpoint: Type.Enum([...batchUrls], { type: 'string' }),
    errors: Type.Null(),
    input_file_id: Type.String(),
    completion_window: Type.String(),
    status: Type.Enum(['in_progress', 'finalizing', 'completed', 'cancelling', 'cancelled', 'expired'], {
      type: 'string'
    }),
    output_file_id: nullable(Type.String({ description: 'Answers of the lines that have one.' })),
    error_file_id: nullable(Type.String({ description: 'Why the other lines have none.' })),
    created_at: created,
    in_progress_at: Type.Integer(),
    expires_at: Type.Integer(),
    finalizing_at: time(''),
    completed_at: time(''),
    failed_at: Type.Null(),
    expired_at: time(''),
    cancelling_at: time(''),
    cancelled_at: time(''),
    request_counts: Type.Object({ total: Type.Integer(), completed: Type.Integer(), failed: Type.Integer() }),
    metadata: nullable(Type.Record(Type.String(), Type.String()))
  },
  { $id: 'Batch' }
)
export type BatchObject = Static<typeof BatchObject>

const page = <T extends Type.TSchema>(items: T) => ({
  object: Type.Literal('list'),
  data: Type.Array(items),
  first_id: nullable(Type.String()),
  last_id: nullable(Type.String()),
  has_more: Type.Boolean()
})
export const FileList = Type.Object(page(ref(FileObject)), { $id: 'FileList' })
export const BatchList = Type.Object(page(ref(BatchObject)), { $id: 'BatchList' })

/** A line of an output or error file. */
export const BatchResult = Type.Object(
  {
    id: Type.String(),
    custom_id: nullable(Type.String({ description: 'Null where the line has none.' })),
    response: nullable(
      Type.Object({
        status_code: Type.Integer(),
        request_id: Type.String(),
        body: Type.Unknown({ description: 'What the endpoint answered.' })
      })
    ),
    error: nullable(
      Type.Object({
        code: Type.String(),
        message: Type.String(),
        param: nullable(Type.String()),
        line: Type.Integer({ description: 'In the input file, counted from 1.' })
      })
    )
  },
  { $id: 'BatchResult' }
)
export type BatchResult = Static<typeof BatchResult>
