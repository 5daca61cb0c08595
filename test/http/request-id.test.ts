import fc from 'fast-check'
import t from 'tap'
import { requestId } from '../../src/http/request-id.js'

const idOf = (id: string) => requestId({ headers: { 'x-request-id': id } })

t.test('an id of the client is kept where it is harmless, else a new one is given', async (t) => {
  t.equal(idOf('req_1.a:b-C'), 'req_1.a:b-C')
  for (const id of ['', 'a b', 'a\nb', '{"a":1}', 'é', 'a'.repeat(129)])
    t.match(idOf(id), /^[0-9a-f-]{36}$/, id)
  t.match(requestId({ headers: {} }), /^[0-9a-f-]{36}$/)
  fc.assert(fc.property(fc.string(), (id) => /^[\w.:-]{1,128}$/.test(idOf(id))))
})
