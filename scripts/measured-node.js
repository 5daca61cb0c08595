/** A server under load, and what its passes cost meanwhile. */

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** Puts a load on a server with `fewstep bench`; tells what it did, and what passes cost meanwhile. */
export async function measureNode(url, rate, { model, tokens, steps, seconds }) {
  const folder = mkdtempSync(join(tmpdir(), 'fewstep-'))
  const file = join(folder, 'node.json')
  const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
  const what = ['--run', `${model}:${steps}`, '--transport', 'http', '--max-tokens', nameOf(tokens)]
  const load = ['--rate', rate, '--seconds', seconds, '--rounds', '1']
  const output = ['--json', file, '--html', join(folder, 'node.html')]
  const bench = spawn(process.execPath, [cli, 'bench', '--url', url, ...what, ...load, ...output], {
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const cost = new MeanCost()
  while (bench.exitCode === null) {
    await setTimeout(200)
    cost.add(await told(url, model))
  }
  const [{ figures, server }] = JSON.parse(readFileSync(file, 'utf8')).results
  rmSync(folder, { recursive: true })
  return {
    ...figures.latency,
    textsPerSecond: figures.textsPerSecond,
    batch: server.batch,
    terms: cost.terms
  }
}

/** How many passes a server's metrics tell of, and what a pass costs by now. */
export async function told(url, model) {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  const value = (name) => {
    const line = metrics.split('\n').find((line) => line.startsWith(`${name} `))
    if (!line) throw new Error(`${url} serves no model "${model}"`)
    return Number(line.slice(name.length))
  }
  const cost = (term) => 1000 * value(`fewstep_pass_cost_seconds{model="${model}",term="${term}"}`)
  return {
    passes: value(`fewstep_passes_total{model="${model}"}`),
    terms: { fixedMs: cost('fixed'), msPerToken: cost('token'), msPerRow: cost('row') }
  }
}

/** Of all passes between the first time and the last that it is told. */
class MeanCost {
  terms
  #first
  #passes

  add({ passes, terms }) {
    this.#first ??= passes
    this.terms ??= terms
    const weight = (passes - this.#passes) / (passes - this.#first)
    if (weight > 0)
      for (const name of Object.keys(terms)) this.terms[name] += weight * (terms[name] - this.terms[name])
    this.#passes = passes
  }
}

function nameOf(length) {
  const [[kind, values]] = typeof length === 'number' ? [['', [length]]] : Object.entries(length)
  return [kind, ...values].filter((part) => part !== '').join(':')
}
