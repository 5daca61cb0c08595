/** What models tell of themselves whenever metrics are asked for. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { ServedModel } from './engine.js'
import type { SchedulerStats } from './scheduler/scheduler.js'
import type { ServedDenoiser } from './server-state.js'

type Served = ServedModel<ServedDenoiser>

const counters: Readonly<Record<string, readonly [help: string, of: (model: Served) => number]>> = {
  fewstep_passes_total: ['Passes of the denoiser.', stat('passes')],
  fewstep_rows_total: ['Positions revealed by passes.', stat('rows')],
  fewstep_steps_total: ['Steps of sequences that revealed something.', stat('steps')],
  fewstep_empty_steps_total: ['Steps that revealed nothing and so cost no pass.', stat('emptySteps')],
  fewstep_denoiser_restarts_total: [
    'Times a process of a model was replaced.',
    ({ denoiser }) => denoiser.restarts
  ]
}

const gauges: typeof counters = {
  fewstep_queued_sequences: ['Sequences that wait for a place.', stat('queued')],
  fewstep_running_sequences: ['Sequences that share in passes.', stat('running')],
  fewstep_offline_sequences: ['Sequences of the lowest priority in work.', stat('offline')],
  fewstep_backlog_seconds: [
    'Time in passes that accepted sequences still need.',
    ({ scheduler }) => scheduler.backlogMs / 1000
  ],
  fewstep_pass_tokens_limit: [
    'Tokens, padding included, that a pass should have.',
    ({ scheduler }) => scheduler.passTokens
  ],
  fewstep_denoiser_processes: ['Processes of a model, one a device.', ({ denoiser }) => denoiser.parallel],
  fewstep_denoiser_ready: ['Those that take passes.', ({ denoiser }) => denoiser.readyProcesses]
}

function stat(name: Exclude<keyof SchedulerStats, 'sequences'>): (model: Served) => number {
  return ({ scheduler }) => scheduler.stats[name]
}

/** Reads the models' numbers whenever the registry is asked; also of models that come later. */
export function readModels(models: readonly Served[], registry: Registry): void {
  const registers = [registry]
  const labelNames = ['model']
  for (const [name, [help, of]] of Object.entries(counters)) {
    new Counter({ name, help, labelNames, registers, collect: readEach(models, of) })
  }
  for (const [name, [help, of]] of Object.entries(gauges)) {
    new Gauge({ name, help, labelNames, registers, collect: readEach(models, of) })
  }
  new Counter({
    name: 'fewstep_sequences_total',
    help: 'Sequences by how they ended, and why.',
    labelNames: ['model', 'outcome', 'reason'],
    registers,
    collect() {
      this.reset()
      for (const { name: model, scheduler } of models)
        for (const [outcome, reasons] of Object.entries(scheduler.endings))
          for (const [reason, count] of Object.entries(reasons)) this.inc({ model, outcome, reason }, count)
    }
  })
  new Gauge({
    name: 'fewstep_pass_cost_seconds',
    help: 'What a pass is expected to take: for itself, and for each padded token and each row.',
    labelNames: ['model', 'term'],
    registers,
    collect() {
      for (const { name: model, scheduler } of models) {
        const { fixedMs, msPerToken, msPerRow } = scheduler.passTerms
        for (const [term, ms] of Object.entries({ fixed: fixedMs, token: msPerToken, row: msPerRow }))
          this.set({ model, term }, ms / 1000)
      }
    }
  })
  new Gauge({
    name: 'fewstep_device_info',
    help: 'The device of a model, and why it is not the GPU where one was looked for.',
    labelNames: ['model', 'device', 'fallback'],
    registers,
    collect() {
      this.reset()
      for (const { name: model, denoiser } of models)
        this.inc({ model, device: denoiser.device, fallback: denoiser.fallback ?? '' })
    }
  })
}

/** Sets a metric anew from each model: the scheduler keeps the count. */
function readEach(models: readonly Served[], of: (model: Served) => number) {
  return function (this: Counter | Gauge): void {
    this.reset()
    for (const model of models) this.inc({ model: model.name }, of(model))
  }
}
