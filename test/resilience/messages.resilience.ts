/** WebSocket messages made from the API's own description: each event that comes is one that it describes. */
import { once } from 'node:events'
import fc from 'fast-check'
import { WebSocket } from 'ws'
import { startServer, TOYS } from '../integration/server-process.js'
import { AnswerChecker, type Description } from './answer-checker.js'
import { fromSchema } from './schema-arbitrary.js'
import { SEED } from './seed.js'
import { atRest, each, metric, watched } from './server-watch.js'
import { trial } from './trial.js'

const SOCKETS = 1500
const AT_ONCE = 16
/** Events of each kind that are seen at least. */
const MET = 20
/** Nobody has this id: what it is refused with comes when all before it was read. */
const LAST = 'the last'

trial(
  'WebSocket messages made from `/openapi.json`, several requests at once, every field hostile now and then',
  'every event exactly as described, each kind of them seen, no request without its end, nothing logged',
  async (t) => {
    const { url, child } = await startServer(t, ...TOYS, '--log-level', 'error')
    let log = ''
    child.stderr!.on('data', (chunk) => {
      log += chunk
    })
    const description: Description = await (await fetch(`${url}/openapi.json`)).json()
    const checker = new AnswerChecker(description)
    const conversations = fc.sample(fc.array(message(description), { minLength: 1, maxLength: 8 }), {
      numRuns: SOCKETS,
      seed: SEED
    })
    const seen: Record<string, number> = {}
    const lost: string[] = []
    const health = await watched(url, () =>
      each(conversations, AT_ONCE, async (messages) => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
        await once(socket, 'open')
        const said = new Promise<void>((resolve) => {
          const begun = new Set<string>()
          let last = false
          socket.on('close', () => lost.push(`${JSON.stringify(messages)}: closed`) && resolve())
          socket.on('message', (data) => {
            const event = JSON.parse(String(data))
            seen[event.type] = (seen[event.type] ?? 0) + 1
            const fault = checker.event(event)
            if (fault || /internal_error|denoiser_failed/.test(event.error?.code))
              lost.push(`${JSON.stringify(messages)}: ${fault} ${data}`)
            const text = `${event.id}/${event.index ?? 0}`
            if (event.type === 'sequence-start') begun.add(text)
            if (event.type === 'sequence-end') begun.delete(text)
            if (event.type === 'error')
              for (const one of begun) if (one.startsWith(`${event.id}/`)) begun.delete(one)
            last ||= event.type === 'error' && event.error.message.includes(LAST)
            if (last && begun.size === 0) resolve()
          })
        })
        for (const one of messages) socket.send(JSON.stringify(one))
        socket.send(JSON.stringify({ type: 'cancel', id: LAST }))
        await said
        socket.removeAllListeners('close').terminate()
      })
    )
    await atRest(url)
    for (const type of ['sequence-start', 'step-end', 'sequence-end', 'snapshot', 'error'])
      t.ok((seen[type] ?? 0) > MET, `${type} was seen ${seen[type]} times`)
    t.equal(log, '')
    t.equal(await metric(url, 'fewstep_denoiser_restarts_total'), 0)
    return { times: SOCKETS, lost: [...lost, ...health.lost], note: JSON.stringify(seen).replaceAll('"', '') }
  }
)

/** Of few ids, so that they meet. */
function message({ components: { schemas } }: Description): fc.Arbitrary<unknown> {
  const names = [
    'CompletionMessage',
    'CompletionMessage',
    'InfillMessage',
    'CancelMessage',
    'SnapshotMessage',
    'SnapshotMessage' // tells something only while a text of that id is on its way
  ]
  const made = fc.oneof(...names.map((name) => fromSchema(schemas[name]!, schemas)))
  const id = fc.constantFrom(undefined, 'a', 'a', 'b', 'b')
  return fc.tuple(made, id).map(([made, id]) => (made instanceof Object && id ? { ...made, id } : made))
}
