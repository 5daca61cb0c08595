import t from 'tap'
import { build, post, until } from '../helper.js'

t.test('live while the process is, ready while requests are taken', async (t) => {
  const { app, state, denoiser } = await build(t)
  const ready = () => app.inject('/health/ready')
  t.same((await app.inject('/health/live')).json(), { status: 'live' })
  t.equal((await ready()).statusCode, 200)
  t.same((await ready()).json(), {
    status: 'ready',
    models: [
      {
        ...{ name: 'table', ready: true, outage: null, device: 'cpu', fallback: null, restarts: 0 },
        ...{ queued: 0, running: 0, backlog_ms: 0 }
      }
    ]
  })
  for (const phase of ['loading', 'draining'] as const) {
    state.phase = phase
    t.equal((await ready()).statusCode, 503)
    t.equal((await ready()).json().status, phase)
    t.equal((await app.inject('/health/live')).statusCode, 200)
  }
  state.phase = 'ready'
  denoiser.outage = { reason: 'no memory', retryAfterMs: 2100 }
  t.equal((await ready()).statusCode, 503)
  t.match((await ready()).json(), { status: 'unavailable', models: [{ outage: 'no memory' }] })
  denoiser.outage = undefined
  denoiser.ready = false
  denoiser.restarts = 1
  denoiser.fallback = 'no GPU was found'
  const restarting = await ready()
  t.equal(restarting.statusCode, 503)
  t.match(restarting.json(), {
    status: 'loading',
    models: [{ ready: false, restarts: 1, fallback: 'no GPU was found' }]
  })
})

t.test('readiness tells the load', async (t) => {
  const { app, denoiser, scheduler } = await build(t, { maxBatchTokens: 64 })
  denoiser.hold()
  const answer = post(app, '/v1/completions', { n: 3, max_tokens: 40 })
  await until(() => scheduler.stats.queued === 2)
  const { models } = (await app.inject('/health/ready')).json()
  t.match(models, [{ queued: 2, running: 1, backlog_ms: Math.round(scheduler.backlogMs) }])
  t.ok(scheduler.backlogMs > 1)
  denoiser.release()
  await answer
})
