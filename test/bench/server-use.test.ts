import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { processTree } from '../../src/bench/process-tree.js'
import { ServerUse } from '../../src/bench/server-use.js'

t.test(
  'sequences and tokens of a pass are those of the time between two looks, of this model alone',
  async (t) => {
    let passes = 100
    const server = createServer((_, response) =>
      response.end(
        [
          '# TYPE fewstep_batch_sequences histogram',
          'fewstep_batch_sequences_sum{model="other"} 7',
          `fewstep_batch_sequences_sum{model="student"} ${passes * 3}`,
          `fewstep_batch_sequences_count{model="student"} ${passes}`,
          `fewstep_rows_total{model="student"} ${passes * 20}`
        ].join('\n')
      )
    ).listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const use = new ServerUse({ url, key: null, pid: undefined }, 'student')
    for (let slice = 0; slice < 2; slice++) {
      const end = await use.begin()
      passes += 10
      await end()
      passes += 1000 // of somebody else's turn
    }
    const { batch, tokensPerPass, passesPerSecond, cpuShare } = use.figures
    t.equal(batch, 3)
    t.equal(tokensPerPass, 20)
    t.ok(passesPerSecond > 0)
    t.ok(Number.isNaN(cpuShare), 'of a server that runs elsewhere')
  }
)

t.test('a server without metrics is none the worse', async (t) => {
  const use = new ServerUse({ url: 'http://127.0.0.1:9', key: null, pid: undefined }, 'student')
  await (await use.begin())()
  t.ok(Number.isNaN(use.figures.batch))
})

t.test(
  'time and memory are those of a process and all below it',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const busy = `const end = Date.now() + 300; while (Date.now() < end); console.log('done'); setInterval(() => {}, 1000)`
    const parent = `
    const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(busy)}], { stdio: ['ignore', 'inherit', 'inherit'] })
    process.on('SIGTERM', () => { child.kill(); process.exit() })`
    const child = spawn(process.execPath, ['-e', parent], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill())
    await once(child.stdout, 'data')
    const tree = (await processTree(child.pid!))!
    t.ok(tree.cpuSeconds > 0.1, `${tree.cpuSeconds} s`)
    t.ok(tree.residentMiB > 50, `${tree.residentMiB} MiB`)
    t.equal(await processTree(2 ** 30), undefined)
  }
)
