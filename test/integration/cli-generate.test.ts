import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { FakeTerminal } from '../commands/fake-terminal.js'
import { fewstep, fewstepInTerminal, TOY } from './command.js'

const WORDS = '( red| green| blue)'

t.test('on a pipe generate writes the plain text: prompt, completion and suffix', async (t) => {
  const args = ['generate', ' red', ...TOY, '--max-tokens', '5', '--seed', '7', '--suffix', ' blue']
  const first = await fewstep(args)
  t.match(first, { stderr: '', code: 0 })
  t.match(first.stdout, new RegExp(`^ red${WORDS}{5} blue\n$`))
  t.equal((await fewstep(args)).stdout, first.stdout)
})

t.test('generate reads its prompt from standard input', async (t) => {
  const { stdout } = await fewstep(['generate', '-', ...TOY, '--max-tokens', '2'], { input: ' green blue' })
  t.match(stdout, new RegExp(`^ green blue${WORDS}{2}\n$`))
})

t.test('in a terminal the text takes shape in place and is left plain', async (t) => {
  const args = ['generate', 'red', ...TOY, '--max-tokens', '12', '--steps', '8', '--seed', '7']
  const output = await text(fewstepInTerminal(args).stdout)
  t.match(output, /░/)
  t.match(output.replaceAll('\r\n', ''), /step \d of 8, 0 masked/)
  const terminal = new FakeTerminal(16, 12)
  terminal.write(output)
  const lines = (await fewstep(args)).stdout.match(/.{1,16}/g)!.map((line) => line.trimEnd())
  const shown = terminal.text.split('\n')
  t.same(shown.slice(0, lines.length), lines)
  t.match(shown.slice(lines.length).join(''), /^12 tokens in 8 steps/)
  t.ok(terminal.cursorShown)
})

t.test('Ctrl-C ends generate and gives the cursor back', async (t) => {
  const child = fewstepInTerminal(['generate', ...TOY, '--max-tokens', '900', '--steps', '900'])
  const closed = once(child, 'close')
  const writing = /step \d+ of/
  let output = ''
  for await (const chunk of child.stdout) {
    if (!writing.test(output) && writing.test(output + chunk)) child.stdin.write('\u0003')
    output += chunk
  }
  t.same(await closed, [130, null])
  const terminal = new FakeTerminal(16, 12)
  terminal.write(output)
  t.ok(terminal.cursorShown)
  t.notMatch(terminal.text, /step|░/)
})
