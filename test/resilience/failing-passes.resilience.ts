/** A device on which every pass fails, for a while. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { post, startServerWith, TOYS } from '../integration/server-process.js'
import { metric, textOf, watched } from './server-watch.js'
import { trial } from './trial.js'

const FAILING_MS = 8000
const BACK_MS = 10_000
const request = { model: 'toy-mixture', prompt: ' red', max_tokens: 12, seed: 5 }

interface Refusal {
  readonly error: { readonly code: string; readonly message: string }
}
interface Readiness {
  readonly models: readonly { readonly name: string; readonly outage?: string }[]
}

trial(
  `every pass fails for want of memory, as ONNX Runtime says it, for ${FAILING_MS / 1000} s`,
  `texts are told so; then 503 with when to come back, readiness 503 with the reason, processes tried further and further apart; the same text within ${BACK_MS / 1000} s of the end`,
  async (t) => {
    const failing = join(t.testdir(), 'failing')
    const env = { NODE_OPTIONS: `--import=${new URL('failing.js', import.meta.url)}`, FAILING: failing }
    const { url } = await startServerWith(t, { env }, ...TOYS, '--log-level', 'fatal')
    const expected = await textOf(url, request)
    const lost: string[] = []
    const codes: Record<string, number> = {}
    let backMs = 0
    const health = await watched(url, async () => {
      await writeFile(failing, '')
      const until = performance.now() + FAILING_MS
      while (performance.now() < until) {
        const answer = await post(`${url}/v1/completions`, request)
        const { error } = (await answer.json()) as Refusal
        const { code } = error
        codes[code] = (codes[code] ?? 0) + 1
        if (code === 'unavailable') {
          const ready = await fetch(`${url}/health/ready`)
          const { models } = (await ready.json()) as Readiness
          const reason = models.find(({ name }) => name === request.model)?.outage ?? 'none'
          const retryMs = Number(answer.headers.get('retry-after-ms'))
          if (answer.status !== 503 || !(retryMs > 0)) lost.push(`${answer.status}, back in ${retryMs} ms`)
          if (ready.status !== 503 || !/allocate memory/.test(reason)) lost.push(`${ready.status} ${reason}`)
        } else if (code !== 'denoiser_failed') lost.push(code)
        await setTimeout(50)
      }
      // After 1, 2 and 4 s, not again and again.
      const tried = await metric(url, 'fewstep_denoiser_restarts_total', request.model)
      if (tried < 2 || tried > 4) lost.push(`${tried} processes were tried`)
      await rm(failing)
      const begun = performance.now()
      while (!(await fetch(`${url}/health/ready`)).ok) await setTimeout(50)
      backMs = Math.round(performance.now() - begun)
      if (backMs > BACK_MS) lost.push(`back after ${backMs} ms`)
      if ((await textOf(url, request)) !== expected) lost.push('another text')
    })
    const { denoiser_failed: failed = 0, unavailable = 0 } = codes
    t.ok(failed > 0 && unavailable > 20, 'the faults were felt')
    const note = `${failed} were told that it failed, ${unavailable} at once; back after ${backMs} ms`
    return { times: failed + unavailable, lost: [...lost, ...health.lost], note }
  }
)
