import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

export const TOY = ['--model', 'test/fixtures/models/toy-mixture', '--device', 'cpu']

/** The built command, run to its end. */
export async function fewstep(args: string[], { input = '', env = {} } = {}) {
  const child = spawn(process.execPath, ['dist/cli.js', ...args], { env: { ...process.env, ...env } })
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close')
  ])
  return { stdout, stderr, code }
}

/** The built command in a terminal of 16 columns and 12 rows. */
export function fewstepInTerminal(args: string[]) {
  const command = ['stty cols 16 rows 12;', 'exec', process.execPath, 'dist/cli.js', ...args].join(' ')
  return spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm-256color' }
  })
}
