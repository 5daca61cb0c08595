import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

export interface StubOptions {
  readonly kind?: 'fewstep' | 'plain'
  readonly delayMs?: number
  readonly stall?: { readonly request: number; readonly forMs: number }
  readonly serial?: boolean
  readonly mostWaiting?: number
}

/** The stub server as a process of its own, until the test's end. @returns its URL */
export async function startStub(t: Test, options: StubOptions = {}): Promise<string> {
  const child = spawn(process.execPath, ['test/bench/stub-server.js', JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill())
  const [line] = await once(child.stdout, 'data')
  return String(line).trim()
}
