/** A whole server with offline batches, in this process, and what a client does with it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { BatchObject, BatchResult, FileObject } from '../../src/answers.js'
import type { BatchQueue } from '../../src/batches/batch-queue.js'
import { SqliteQueue } from '../../src/batches/sqlite-queue.js'
import { serveBatches } from '../../src/served-batches.js'
import { type BuildOptions, build, listen } from '../helper.js'

export interface BatchServer extends Awaited<ReturnType<typeof build>> {
  readonly url: string
  readonly queue: BatchQueue
  readonly folder: string
  /** Ends the work on batches as a server does that stops. */
  stop(): Promise<void>
}

/** @param folder of an earlier server; a new one unless given */
export async function batchServer(
  t: Test,
  options: BuildOptions & { folder?: string; idle?: boolean } = {}
): Promise<BatchServer> {
  // Not t.testdir(), which is gone before the work on batches has stopped.
  const own = options.folder === undefined ? await mkdtemp(join(tmpdir(), 'fewstep-')) : undefined
  const folder = options.folder ?? own!
  const queue = await SqliteQueue.open(folder)
  const server = await build(t, { ...options, batches: queue })
  const { app, engine, metrics } = server
  const log = (_level: string, message: string) => void t.comment(message)
  const work = options.idle ? undefined : serveBatches(queue, { engine, metrics, maxLineBytes: 10_000, log })
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    await work?.stop()
    await queue.close()
    if (own) await rm(own, { recursive: true })
  }
  t.teardown(stop)
  return { ...server, queue, folder, stop, url: await listen(app) }
}

/** A line of an input file. */
export const line = (custom_id: string, body: object, url = '/v1/completions') =>
  JSON.stringify({ custom_id, method: 'POST', url, body })

export async function upload(url: string, content: string, fields: Record<string, string> = {}) {
  const form = new FormData()
  form.set('file', new Blob([content]), 'requests.jsonl')
  for (const [name, value] of Object.entries({ purpose: 'batch', ...fields })) form.set(name, value)
  const response = await fetch(`${url}/v1/files`, { method: 'POST', body: form })
  return { status: response.status, body: (await response.json()) as FileObject & { error: ErrorBody } }
}

interface ErrorBody {
  readonly code: string
  readonly message: string
  readonly param: string | null
}

export async function create(url: string, fields: object) {
  const body = JSON.stringify({ endpoint: '/v1/completions', completion_window: '24h', ...fields })
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/v1/batches`, { method: 'POST', headers, body })
  return { status: response.status, body: (await response.json()) as BatchObject & { error: ErrorBody } }
}

/** Uploads the lines and starts a batch of them. */
export async function start(
  url: string,
  lines: readonly string[],
  fields: object = {}
): Promise<BatchObject> {
  const file = await upload(url, lines.join('\n'))
  const { status, body } = await create(url, { input_file_id: file.body.id, ...fields })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body
}

export async function look(url: string, id: string): Promise<BatchObject> {
  return (await fetch(`${url}/v1/batches/${id}`)).json() as Promise<BatchObject>
}

/** Asks until it has ended. */
export async function ended(url: string, id: string): Promise<BatchObject> {
  for (;;) {
    const batch = await look(url, id)
    if (['completed', 'cancelled', 'expired'].includes(batch.status)) return batch
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export async function results(url: string, fileId: string | null): Promise<BatchResult[]> {
  if (fileId === null) return []
  const text = await (await fetch(`${url}/v1/files/${fileId}/content`)).text()
  return text
    .split('\n')
    .filter(Boolean)
    .map((result) => JSON.parse(result))
}
