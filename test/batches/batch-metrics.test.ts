import t from 'tap'
import { batchServer, ended, line, start } from './batch-server.js'

t.test('each line is counted once, by how it ended and with the code of its error', async (t) => {
  const { app, url, denoiser } = await batchServer(t)
  const samples = async () => {
    const { body } = await app.inject('/metrics')
    return body.split('\n').filter((sample) => sample.startsWith('fewstep_batch_lines'))
  }
  const sample = (outcome: string, code: string, count: number) =>
    `fewstep_batch_lines_total{queue="sqlite",outcome="${outcome}",code="${code}"} ${count}`
  const good = (id: string) => line(id, { prompt: ' red', max_tokens: 4 })
  const bad = ['not JSON', line('steps', { steps: 0 }), line('model', { model: 'gpt-4' })]
  await ended(url, (await start(url, [good('a'), ...bad, good('b')])).id)
  const first = [
    sample('completed', '', 2),
    sample('failed', 'invalid_request', 2),
    sample('failed', 'model_not_found', 1)
  ]
  t.same((await samples()).sort(), [...first, 'fewstep_batch_lines_waiting{queue="sqlite"} 0'].sort())

  denoiser.hold()
  const { id } = await start(url, [good('a'), good('b')])
  t.ok((await samples()).includes('fewstep_batch_lines_waiting{queue="sqlite"} 2'))
  await fetch(`${url}/v1/batches/${id}/cancel`, { method: 'POST' })
  await ended(url, id)
  denoiser.release()
  const last = [...first, sample('failed', 'batch_cancelled', 2)]
  t.same((await samples()).sort(), [...last, 'fewstep_batch_lines_waiting{queue="sqlite"} 0'].sort())
})
