#!/usr/bin/env node
import { text as readAll } from 'node:stream/consumers'
import { Argument, Command } from 'commander'
import { newKey, parseKey, type Role, roles } from './api-keys.js'
import { benchSettings } from './commands/bench-settings.js'
import { addOptions } from './commands/options.js'
import { requestSettings, toRequest } from './commands/request.js'
import { settings } from './config.js'
import { ConfigError, readSettings } from './setting.js'
import { fewstepVersion } from './version.js'

/** Errors whose message says all there is to say; of any other the stack is of use. */
const plainErrors = new Set(['ConfigError', 'DeviceError', 'ModelError', 'RequestError', 'TokenizerError'])

const serveHelp = `
A flag goes before its variable. A variable for a flag that may be repeated separates values by commas.

Examples:
  $ fewstep serve
  $ fewstep serve --host 0.0.0.0 --port 9000 --device cuda
  $ fewstep serve --model ./my-model --alias gpt-3.5-turbo-instruct=my-model
  $ FEWSTEP_PORT=9000 FEWSTEP_LOG_LEVEL=warn fewstep serve`

const generateHelp = `
In a terminal the text is drawn while it takes shape; a pipe gets the plain text: prompt, completion and suffix.

Examples:
  $ fewstep generate "Once upon a time"
  $ fewstep generate "The house stood" --suffix " and was never seen again." --max-tokens 32 --seed 7
  $ echo "Dear diary," | fewstep generate - > diary.txt`

const QUICK_BENCH = { seconds: '4', rounds: '2', concurrency: '4' }

const benchHelp = `
Each model writes the same texts from the same seeds, in turns. Throughput, latency and variety of the very texts that were timed are shown
side by side. Ctrl-C ends it early and shows what was measured.

Examples:
  $ fewstep bench --quick
  $ fewstep bench --run student:4 --run student:8 --run teacher:32 --concurrency 1,8,32
  $ fewstep bench --url http://127.0.0.1:8080 --rate 2,4,8 --seconds 60 --json after.json
  $ fewstep bench compare before.json after.json`

async function serve(flags: object): Promise<void> {
  const { serve } = await import('./server.js')
  const drained = await serve(readSettings(settings, flags, process.env))
  // Whatever a client still holds open would keep the process.
  process.exit(drained ? 0 : 1)
}

async function generate(prompt: string, flags: object): Promise<void> {
  const request = toRequest(
    prompt === '-' ? await readAll(process.stdin) : prompt,
    readSettings(requestSettings, flags, {})
  )
  const config = readSettings(settings, flags, process.env)
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort())
  const { generate } = await import('./commands/generate.js')
  try {
    await generate(request, { config, output: process.stdout, signal: interrupt.signal })
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
    process.exitCode = 130
  }
}

async function bench({ quick, ...flags }: { quick?: boolean }): Promise<void> {
  try {
    const settings = readSettings(benchSettings, quick ? { ...QUICK_BENCH, ...flags } : flags, {})
    const interrupt = new AbortController()
    process.once('SIGINT', () => interrupt.abort())
    const { bench } = await import('./commands/bench.js')
    const { stdout: output, stderr: progress } = process
    const holds = await bench({
      settings,
      python: settings.python ?? process.env.PYTHON ?? 'python3',
      output,
      progress,
      signal: interrupt.signal,
      command: commandLine(process.argv.slice(2))
    })
    process.exitCode = holds ? 0 : 1
  } catch (error) {
    fail(error as Error)
    process.exitCode = 2 // nothing was measured
  }
}

/** As it can be typed again, without the key. */
function commandLine(words: readonly string[]): string {
  const shown = words.map((word, i) =>
    words[i - 1] === '--key' ? '…' : word.replace(/^--key=.*/s, '--key=…')
  )
  const quoted = shown.map((word) =>
    /^[\w./:,=@…-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
  )
  return ['fewstep', ...quoted].join(' ')
}

async function benchCompare(before: string, after: string): Promise<void> {
  try {
    const { benchCompare } = await import('./commands/bench-compare.js')
    process.stdout.write(await benchCompare(before, after))
  } catch (error) {
    fail(error as Error)
    process.exitCode = 2
  }
}

function makeKey(name: string, role: Role): void {
  const { secret, line } = newKey(name, role)
  if (!parseKey(line)) throw new ConfigError(`name: expected letters, digits, _ . and -, got "${name}"`)
  console.log(`key for the client, shown only now: ${secret}\nline for --api-keys-file: ${line}`)
}

function fail(error: Error): void {
  console.error(plainErrors.has(error.name) ? `fewstep: ${error.message}` : error)
  process.exitCode = 1
}

const program = new Command('fewstep')
  .description('Serves few-step text diffusion: a whole text takes shape in a handful of steps.')
  .version(fewstepVersion)

const serveCommand = program
  .command('serve')
  .description('Serve models over HTTP and WebSocket.')
  .action(serve)
addOptions(serveCommand, settings, { variables: true })
serveCommand.addHelpText('after', serveHelp)

const { device, threads } = settings
const model = {
  ...settings.model,
  many: false,
  description: 'Folder of a model (it holds model.json), or the name of one that comes with fewstep.',
  defaultText: 'the first that serve would take'
}
const generateCommand = program
  .command('generate')
  .description('Write one completion and watch it take shape.')
  .argument('[prompt]', 'text to go on from; - reads it from standard input', '')
  .action(generate)
addOptions(generateCommand, requestSettings, { variables: false })
addOptions(generateCommand, { model, device, threads }, { variables: true })
generateCommand.addHelpText('after', generateHelp)

const benchCommand = program
  .command('bench')
  .description('Measure models under load, side by side: speed, and how varied the texts are.')
  .action(bench)
addOptions(benchCommand, benchSettings, { variables: false })
benchCommand.option('--quick', 'Less of everything: done in a minute and a half.')
benchCommand
  .command('compare')
  .description('Tell what changed between two measurements, beyond noise.')
  .argument('<before>', 'what --json wrote')
  .argument('<after>', 'what --json wrote later')
  .action(benchCompare)
benchCommand.addHelpText('after', benchHelp)

program
  .command('key')
  .description('Draw a new API key. The server needs only the line that it prints.')
  .argument('<name>', 'who will use it')
  .addArgument(new Argument('[role]', 'what it may do').choices(roles).default('text'))
  .action(makeKey)

await program.parseAsync().catch(fail)
