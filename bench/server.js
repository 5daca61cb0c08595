/** The built server as a process of its own, on a free port, on this machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'

/** @param {string[]} flags more flags of `fewstep serve` */
export async function startServer(flags = []) {
  const port = await freePort()
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    ['dist/cli.js', 'serve', '--port', `${port}`, '--log-level', 'warn', ...flags],
    {
      stdio: ['ignore', 'ignore', 'inherit']
    }
  )
  const url = `http://127.0.0.1:${port}`
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`)
    await setTimeout(20)
  }
  return {
    url,
    pid: child.pid,
    readyMs: performance.now() - startedAt,
    /** Resident memory of the server and its children, MiB. */
    residentMiB: () => residentMiB(child.pid),
    async stop() {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }
}

/** @param {string} url @param {object} body */
export async function infill(url, body) {
  const response = await fetch(`${url}/v1/infill`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return response.json()
}

/** Runs `count` calls of `task(i)`, `width` at a time. */
export async function inParallel(count, width, task) {
  let next = 0
  const worker = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(Array.from({ length: width }, worker))
}

async function isReady(url) {
  try {
    return (await fetch(`${url}/health/ready`)).ok
  } catch {
    return false
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function residentMiB(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean)
  const own = Number(status.match(/VmRSS:\s+(\d+)/)[1]) / 1024
  const below = await Promise.all(children.map((child) => residentMiB(child)))
  return below.reduce((sum, mib) => sum + mib, own)
}
