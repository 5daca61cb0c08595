import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { RequestError } from '../../errors.js'
import { InferAnswer, InferRequest, type OutputName, type PromptTensor } from '../../open-inference.js'
import { ref } from '../../schemas.js'
import { effectiveParameters, type FinishedText, readTexts } from '../generation-answer.js'
import { generationOptions } from '../generation-options.js'
import type { HttpOptions } from '../http-options.js'
import { serverTiming } from '../server-timing.js'
import { params, protocolAnswers, tags } from './routes.js'

const schema = {
  tags,
  summary: 'Complete a tensor of prompts',
  params,
  body: ref(InferRequest),
  response: protocolAnswers(InferAnswer)
}

/** Completions as tensors: the i-th text completes the i-th prompt. */
export const inferRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, http) => {
  app.post('/v2/models/:model/infer', { schema }, async ({ body, params: { model } }, reply) => {
    const names = outputNamesOf(body)
    const completion = { ...body.parameters, model, prompt: promptsOf(body.inputs[0]!) }
    const options = generationOptions('infer', reply, http)
    const generation = http.engine.complete(completion, options)
    const texts = await readTexts(generation)
    reply.header('server-timing', serverTiming(texts.map(({ end }) => end.timings)))
    return inferAnswer(body.id, generation.model, names, texts)
  })
}

function promptsOf({ shape, data }: PromptTensor): string[] {
  const prompts = data.flat()
  if (prompts.length === 0) {
    const message = 'inputs[0].data: expected a prompt at least, got none'
    throw new RequestError('invalid_request', message, { param: 'inputs[0].data' })
  }
  if (shape.reduce((size, length) => size * length, 1) === prompts.length) return prompts
  const message = `inputs[0].shape: expected [${prompts.length}] for as much data, got ${JSON.stringify(shape)}`
  throw new RequestError('invalid_request', message, { param: 'inputs[0].shape' })
}

const outputs: Readonly<Record<OutputName, (text: FinishedText) => string>> = {
  text: ({ end }) => end.text,
  finish_reason: ({ end }) => end.finish_reason
}

function outputNamesOf(request: InferRequest): readonly OutputName[] {
  const names = request.outputs?.map(({ name }) => name) ?? (Object.keys(outputs) as OutputName[])
  const again = names.findIndex((name, i) => names.indexOf(name) < i)
  if (again < 0) return names
  const param = `outputs[${again}].name`
  throw new RequestError('invalid_request', `${param}: expected each once, got "${names[again]}" again`, {
    param
  })
}

function inferAnswer(
  id: string | undefined,
  model: string,
  names: readonly OutputName[],
  texts: readonly FinishedText[]
): InferAnswer {
  const { start } = texts[0]!
  return {
    model_name: model,
    ...(id === undefined ? {} : { id }),
    parameters: { ...effectiveParameters(start), steps: start.steps },
    outputs: names.map((name) => ({
      ...{ name, datatype: 'BYTES', shape: [texts.length] },
      data: texts.map(outputs[name])
    }))
  }
}
