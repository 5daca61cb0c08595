/** Whether the API's own description allows what a server says: fields that it does not list count as wrong. */
import { Compile, type Validator } from 'typebox/compile'
import type { Schema } from './schema-arbitrary.js'

export interface Operation {
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema: Schema }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >
}
export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/** The events of a text, by their type. */
const EVENTS: Readonly<Record<string, string>> = {
  'sequence-start': 'SequenceStart',
  'step-end': 'StepEnd',
  'sequence-end': 'SequenceEnd',
  snapshot: 'Snapshot',
  error: 'ErrorEvent'
}

interface SentEvent {
  readonly event: string | undefined
  readonly id: string | undefined
  readonly data: string
}

export class AnswerChecker {
  readonly #schemas: Record<string, Schema>
  readonly #validators = new Map<string, Validator>()

  constructor({ components }: Description) {
    this.#schemas = exact(components.schemas)
  }

  /** What is wrong with an answer that was read whole. */
  answer({ responses }: Operation, path: string, answer: Response, text: string): string | undefined {
    const { status } = answer
    const type = answer.headers.get('content-type')?.split(';', 1)[0] ?? ''
    const schema = (responses[status] ?? responses[`${Math.floor(status / 100)}XX`])?.content?.[type]?.schema
    if (status >= 500 || !schema) return `${status} ${type}`
    if (type === 'application/json') return this.#fault(exact(schema), JSON.parse(text))
    if (type === 'text/event-stream') return this.#stream(path, text)
    return undefined
  }

  named(name: string, value: unknown): string | undefined {
    return this.#fault({ $ref: name }, value)
  }

  /** What is wrong with an event of a WebSocket. */
  event(value: { type: string }): string | undefined {
    return this.named(EVENTS[value.type] ?? 'no such event', value)
  }

  #stream(path: string, text: string): string | undefined {
    const events = eventsOf(text)
    const last = events.at(-1)
    if (!text.endsWith('\n\n')) return 'cut short'
    if (!last) return path.startsWith('/v2') ? undefined : 'no event' // of an empty text KServe's protocol says nothing
    if (last.event !== 'error') {
      if (path === '/v1/completions' && events.pop()!.data !== '[DONE]') return 'no [DONE]'
      if (path === '/v1/infill' && last.event !== 'sequence-end') return 'no end'
    }
    for (const { event, data } of events) {
      const fault = this.#fault(this.#eventSchema(path, event), JSON.parse(data))
      if (fault) return `${event ?? 'data'}: ${fault} in ${data}`
      if (event === 'error' && /internal_error|denoiser_failed/.test(data)) return data
    }
    return undefined
  }

  #eventSchema(path: string, event: string | undefined): Schema {
    if (path.startsWith('/v2')) return { $ref: event === 'error' ? 'OpenInferenceError' : 'GenerateAnswer' }
    if (event === 'error') return { $ref: 'Error' }
    const name = event === undefined ? 'Completion' : (EVENTS[event] ?? 'no such event')
    if (path === '/v1/infill' || event === undefined) return { $ref: name }
    // Drafts are chunks and events in one.
    const [chunk, draft] = [this.#schemas.Completion!, this.#schemas[name]!]
    return {
      ...chunk,
      properties: { ...draft.properties, ...chunk.properties },
      required: [...chunk.required!, ...draft.required!]
    }
  }

  #fault(schema: Schema, value: unknown): string | undefined {
    const key = JSON.stringify(schema)
    const validator = this.#validators.get(key) ?? Compile(this.#schemas, schema)
    this.#validators.set(key, validator)
    return validator.Check(value) ? undefined : JSON.stringify(validator.Errors(value)[0])
  }
}

/** The server-sent events of a body; comments are none. */
export function eventsOf(text: string): SentEvent[] {
  const field = (block: string, name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
  return text
    .split('\n\n')
    .filter((block) => block !== '' && !block.startsWith(':'))
    .map((block) => ({
      event: field(block, 'event'),
      id: field(block, 'id'),
      data: field(block, 'data') ?? ''
    }))
}

/** Objects hold what is listed alone. References of the document lead to the same schemas by their own names. */
function exact<T>(schema: T): T {
  return JSON.parse(JSON.stringify(schema), (key, value) => {
    if (key === '$ref') return value.replace('#/components/schemas/', '')
    return value?.type === 'object' && value.properties ? { additionalProperties: false, ...value } : value
  })
}
