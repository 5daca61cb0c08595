/** `fewstep bench compare`: what changed between two measurements. */
import { readFile } from 'node:fs/promises'
import { compare } from '../bench/compare.js'
import type { MeasuredDocument } from '../bench/document.js'
import { ConfigError } from '../setting.js'

/** @throws {ConfigError} where a file is none of `fewstep bench --json` */
export async function benchCompare(before: string, after: string): Promise<string> {
  const lines = compare(await read(before), await read(after))
  return `${lines.join('\n')}\n\nIntervals hold 95 %, by how rounds differ: what else a machine did for all of one measurement they cannot know.\n`
}

async function read(file: string): Promise<MeasuredDocument> {
  const wrong = (got: string) =>
    new ConfigError(`${file}: expected what fewstep bench --json wrote, got ${got}`)
  let document: MeasuredDocument
  try {
    document = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw wrong(code ? `no file that can be read (${code})` : 'no JSON')
  }
  const complete = document?.results?.every?.(
    ({ figures, variety, load }) => figures?.rounds && variety && load
  )
  if (!complete) throw wrong('other JSON')
  return document
}
