/** Writes openapi.yaml from the schemas of the built server (`npm run openapi`). Needs no model. */
import { writeFile } from 'node:fs/promises'
import { buildApp } from '../dist/app.js'
import { Engine } from '../dist/engine.js'
import { Metrics } from '../dist/metrics.js'

const aliases = new Map()
const app = await buildApp({
  engine: new Engine([], { aliases, maxTextTokens: 1, maxTexts: 1 }),
  aliases,
  limits: {
    bodyLimit: 1,
    maxSocketSequences: 1,
    heartbeatMs: 1,
    readerTimeoutMs: 1,
    maxConnections: 1,
    maxFileBytes: 1,
    maxDataBytes: 1,
    maxBatchLines: 1
  },
  metrics: new Metrics(),
  phase: () => 'ready',
  security: { allowOrigin: [], local: true, maxRequestsPerMinute: 0, maxKeyRequests: 1 },
  logPrompts: false
})
await writeFile(new URL('../openapi.yaml', import.meta.url), app.swagger({ yaml: true }))
await app.close()
