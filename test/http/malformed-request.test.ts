import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { createServer } from 'node:tls'
import t from 'tap'
import { answerMalformedRequest } from '../../src/http/malformed-request.js'
import { build, listen, until } from '../helper.js'

const post = 'POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'

t.test('what is no request gets the status that says why, is counted, and has an id', async (t) => {
  const lines: string[] = []
  const { app, metrics } = await build(t, {
    logger: { stream: { write: (line: string) => lines.push(line) } }
  })
  const port = Number(new URL(await listen(app)).port)
  app.server.requestTimeout = 1
  for (const [sent, status, code] of [
    ['NONSENSE\r\n\r\n', 400, 'invalid_request'],
    [`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    [`${post}transfer-encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}\r\n`, 413, 'body_too_large']
  ] as const) {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8')
    socket.write(sent)
    const [answer] = await once(socket, 'data')
    t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*"code":"${code}"`))
    const id = /x-request-id: (\S+)/.exec(answer)![1]!
    t.ok(lines.some((line) => line.includes(id) && line.includes(`"status":${status}`)))
    t.ok((await metrics.registry.metrics()).includes(`fewstep_errors_total{code="${code}"} 1`))
    socket.destroy()
  }
})

t.test('half a request is told that its time is over', async (t) => {
  const { app } = await build(t)
  const port = Number(new URL(await listen(app)).port)
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  socket.write('GET / HTTP/1.1\r\nho')
  const [connection] = await once(app.server, 'connection')
  app.server.emit('clientError', Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), connection)
  t.match((await once(socket, 'data'))[0], /^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/)
})

t.test('nothing is written into an answer that has begun', async (t) => {
  const { app, denoiser } = await build(t)
  const socket = connect(Number(new URL(await listen(app)).port), '127.0.0.1').setEncoding('utf8')
  let answer = ''
  socket.on('data', (text) => {
    answer += text
  })
  const body = '{"max_tokens": 4, "stream": true}'
  denoiser.hold()
  socket.write(`${post}content-length: ${body.length}\r\n\r\n${body}`)
  await until(() => denoiser.passes.length > 0 && answer.includes('200 OK'))
  socket.write('NONSENSE\r\n\r\n')
  await once(socket, 'close')
  t.notMatch(answer, /400 Bad Request/)
})

t.test('a TLS handshake that never ends is cut off', async (t) => {
  const [cert, key] = ['cert', 'key'].map((name) => readFileSync(`test/fixtures/tls/${name}.pem`))
  const server = createServer({ cert, key, handshakeTimeout: 50 })
  const { app } = await build(t)
  server.on('tlsClientError', (error, socket) => answerMalformedRequest.call(app, error, socket))
  server.listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const silent = connect((server.address() as AddressInfo).port, '127.0.0.1')
  await once(silent.resume(), 'close')
})
