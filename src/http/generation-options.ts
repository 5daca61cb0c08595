import type { FastifyReply } from 'fastify'
import type { GenerationOptions } from '../engine.js'
import { departure } from './departure.js'
import { newId } from './generation-answer.js'
import type { HttpOptions } from './http-options.js'

/** A new id, such as cmpl-…; the client's share and its leaving; and the trace of its request. */
export function generationOptions(
  prefix: string,
  reply: FastifyReply,
  { gate, traces }: Pick<HttpOptions, 'gate' | 'traces'>
): GenerationOptions {
  const { request } = reply
  return {
    id: newId(prefix),
    signal: departure(reply),
    client: gate.access.keyOf(request),
    watch: traces.of(request)
  }
}
