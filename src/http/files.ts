import { Readable } from 'node:stream'
import multipart, { type Multipart } from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import { DeletedFile, FileList, FileObject } from '../answers.js'
import { isFileId, newFileId } from '../batches/batch-id.js'
import { isOver } from '../batches/batch-life.js'
import { type FileRecord, isOf, readerOf } from '../batches/batch-queue.js'
import { linesOf } from '../bounded-lines.js'
import { RequestError } from '../errors.js'
import { answers, refusals } from './answer-schemas.js'
import type { BatchHttpOptions } from './batch-api.js'
import { checkRoom } from './data-room.js'
import { unixTime } from './generation-answer.js'
import { pageOf, pageQuery } from './page.js'

const tags = ['Batches']
const params = Type.Object({ id: Type.String() })

const uploadSchema = {
  tags,
  summary: 'Upload a file of requests',
  consumes: ['multipart/form-data'],
  body: Type.Object({
    file: Type.Unsafe<unknown>({
      type: 'string',
      format: 'binary',
      description: 'JSON Lines: a BatchLine a line.'
    }),
    purpose: Type.Literal('batch'),
    'expires_after[anchor]': Type.Optional(Type.Literal('created_at')),
    'expires_after[seconds]': Type.Optional(
      Type.Integer({ minimum: 1, description: 'How long it is kept; for ever unless given.' })
    )
  }),
  response: answers(FileObject)
}

export const fileRoutes: FastifyPluginAsyncTypebox<BatchHttpOptions> = async (
  app,
  { queue, gate, limits }
) => {
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('*', (_request, _body, done) => done(null)) // the handler says what it expected
  await app.register(multipart, { limits: { fileSize: Number.POSITIVE_INFINITY, files: 1, fields: 10 } })

  /** @throws {RequestError} when there is none that the key may see */
  async function find(id: string, owner: string | null | undefined): Promise<FileRecord> {
    const record = isFileId(id) ? await queue.files.get(id) : undefined
    if (record && isOf(record, owner) && !isOver(record.file)) return record
    throw new RequestError('file_not_found', `file: expected the id of a file, got "${id}"`)
  }

  app.post(
    '/v1/files',
    { schema: uploadSchema, validatorCompiler: () => () => true },
    async (request): Promise<FileObject> => {
      if (!request.isMultipart()) {
        const got = request.headers['content-type'] ?? 'none'
        const message = `content-type: expected multipart/form-data, got ${got}`
        throw new RequestError('unsupported_media_type', message)
      }
      const id = newFileId()
      try {
        const form = await readForm(request.parts(), (chunks) =>
          queue.write(id, within(chunks, limits.maxFileBytes))
        )
        const { filename, seconds } = checkForm(form)
        const { bytes, lines } = await sizeOf(queue.read(id))
        if (bytes === 0) {
          const message = 'file: expected one that is not empty, got 0 bytes'
          throw new RequestError('invalid_request', message, { param: 'file' })
        }
        const created_at = unixTime()
        const expires_at = seconds === undefined ? null : created_at + seconds
        const file: FileObject = {
          ...{ id, object: 'file', bytes, created_at, expires_at, filename },
          ...{ purpose: 'batch', status: 'processed' }
        }
        await queue.files.put(id, { owner: gate.access.keyName(request) ?? null, lines, file })
        await checkRoom({ queue, limits }, 0, 'file') // of many that come at once none is overlooked
        return file
      } catch (error) {
        request.raw.unpipe().resume() // a rest that nobody reads keeps the connection, and the server, from closing
        await queue.files.delete(id)
        await queue.erase(id)
        throw error
      }
    }
  )

  app.get(
    '/v1/files',
    {
      schema: {
        tags,
        summary: 'List files',
        querystring: pageQuery('^([1-9][0-9]{0,3}|10000)$', {
          purpose: Type.Optional(FileObject.properties.purpose)
        }),
        response: answers(FileList)
      }
    },
    async (request) => {
      const owner = gate.access.owner(request)
      const { purpose, limit = 10_000 } = request.query
      async function* wanted() {
        for await (const { file } of queue.files.list({ owner }, request.query))
          if (!isOver(file) && (purpose === undefined || file.purpose === purpose)) yield file
      }
      return pageOf(wanted(), Number(limit))
    }
  )

  app.get(
    '/v1/files/:id',
    { schema: { tags, summary: 'Describe a file', params, response: answers(FileObject) } },
    async (request) => (await find(request.params.id, gate.access.owner(request))).file
  )

  app.get(
    '/v1/files/:id/content',
    {
      schema: {
        tags,
        summary: 'Download a file',
        params,
        response: {
          200: { description: 'JSON Lines.', content: { 'application/jsonl': { schema: Type.String() } } },
          ...refusals
        }
      }
    },
    async (request, reply) => {
      const { file } = await find(request.params.id, gate.access.owner(request))
      reply.headers({ 'content-type': 'application/jsonl', 'content-length': file.bytes })
      return (reply as FastifyReply).send(Readable.from(queue.read(file.id)))
    }
  )

  app.delete(
    '/v1/files/:id',
    { schema: { tags, summary: 'Delete a file', params, response: answers(DeletedFile) } },
    async (request): Promise<DeletedFile> => {
      const { id } = (await find(request.params.id, gate.access.owner(request))).file
      const reader = await readerOf(id, queue)
      if (reader) {
        throw new RequestError('file_in_use', `file: expected one that no batch reads, got that of ${reader}`)
      }
      await queue.files.delete(id)
      await queue.erase(id)
      return { id, object: 'file', deleted: true }
    }
  )
}

interface Form {
  filename?: string
  readonly fields: Map<string, string>
}

/** Reads the parts in whatever order they come; the file goes to `store` as it comes. */
async function readForm(
  parts: AsyncIterable<Multipart>,
  store: (chunks: AsyncIterable<Uint8Array>) => Promise<void>
): Promise<Form> {
  const form: Form = { fields: new Map() }
  for await (const part of sent(parts)) {
    if (part.type === 'file' && part.fieldname === 'file') {
      form.filename = part.filename
      await store(sent(part.file))
    } else {
      if (part.type === 'file') part.file.resume()
      form.fields.set(part.fieldname, part.type === 'file' ? 'a file' : String(part.value))
    }
  }
  return form
}

/** The same; an error in what the client sent is told apart from one in what is done with it. */
async function* sent<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* items
  } catch (error) {
    throw new RequestError('invalid_request', `body: expected a form, got ${(error as Error).message}`)
  }
}

/** Characters of a file's name, as most file systems have it. */
const MAX_NAME = 255

const fieldNames = new Set(['purpose', 'expires_after[anchor]', 'expires_after[seconds]'])

function checkForm({ filename, fields }: Form): { filename: string; seconds: number | undefined } {
  const refuse = (param: string, expected: string, got: string | undefined) => {
    const message = `${param}: expected ${expected}, got ${got === undefined ? 'nothing' : `"${got}"`}`
    return new RequestError('invalid_request', message, { param })
  }
  if (filename === undefined) throw refuse('file', 'a file', fields.get('file'))
  if (filename.length > MAX_NAME)
    throw refuse('file', `a name of at most ${MAX_NAME} characters`, `${filename.slice(0, MAX_NAME)}…`)
  const unknown = [...fields.keys()].find((name) => !fieldNames.has(name))
  if (unknown !== undefined)
    throw refuse(unknown, `no such field, but ${[...fieldNames].join(', ')}`, fields.get(unknown))
  if (fields.get('purpose') !== 'batch') throw refuse('purpose', 'batch', fields.get('purpose'))
  const anchor = fields.get('expires_after[anchor]')
  const seconds = fields.get('expires_after[seconds]')
  if (anchor === undefined && seconds === undefined) return { filename, seconds: undefined }
  if (anchor !== 'created_at') throw refuse('expires_after[anchor]', 'created_at', anchor)
  if (!/^[1-9]\d{0,8}$/.test(seconds ?? ''))
    throw refuse('expires_after[seconds]', 'an integer >= 1', seconds)
  return { filename, seconds: Number(seconds) }
}

/** The same chunks. One that is too long is read to its end, so that its client comes to read the refusal. */
async function* within(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes <= maxBytes) yield chunk
  }
  if (bytes > maxBytes) {
    const message = `file: expected at most ${maxBytes} bytes, got ${bytes}`
    throw new RequestError('body_too_large', message, { param: 'file' })
  }
}

async function sizeOf(chunks: AsyncIterable<Uint8Array>): Promise<{ bytes: number; lines: number }> {
  let bytes = 0
  let lines = 0
  async function* counted() {
    for await (const chunk of chunks) {
      bytes += chunk.length
      yield chunk
    }
  }
  for await (const _ of linesOf(counted(), 0)) lines++
  return { bytes, lines }
}
