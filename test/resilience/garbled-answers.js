/** Imported by every process of a server: at SIGUSR2 its denoisers write what is no message where their answers go. */
import { writeSync } from 'node:fs'

const ANSWERS = 3
const garbage = [
  Buffer.from('hello world, this is no message at all\n'),
  Buffer.from([4, 0, 0, 0, 1, 2, 3, 4]), // a length and no value
  Buffer.from([255, 255, 255, 127]) // a length past all bounds
]

if (process.argv[1]?.endsWith('denoiser-process.js'))
  process.on('SIGUSR2', () => writeSync(ANSWERS, garbage[process.pid % garbage.length]))
