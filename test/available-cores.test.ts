import { availableParallelism } from 'node:os'
import { t } from 'tap'
import { availableCores } from '../src/available-cores.js'

t.test('a quota bounds the cores, rounded down, never under one', async (t) => {
  const cores = availableParallelism()
  t.equal(availableCores(t.testdir({ 'cpu.max': '100000 100000\n' })), 1)
  t.equal(availableCores(t.testdir({ 'cpu.max': '50000 100000\n' })), 1)
  t.equal(availableCores(t.testdir({ 'cpu.max': 'max 100000\n' })), cores)
  t.equal(availableCores(t.testdir({ 'cpu.max': '6400000 100000\n' })), Math.min(64, cores))
})

t.test('without a cgroup the cores of the machine count', async (t) => {
  t.equal(availableCores('/nowhere'), availableParallelism())
})
