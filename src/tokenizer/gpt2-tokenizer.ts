/** GPT-2's byte-level BPE, read from `tokenizer.json` and `tokenizer_config.json` in one folder, which `SHA256SUMS` vouches for. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import type { Tokenizer } from './tokenizer.js'

/** A folder that holds no usable tokenizer: one line that names the file. */
export class TokenizerError extends Error {
  override readonly name = 'TokenizerError'
}

interface TokenizerFile {
  readonly model: { readonly vocab: Readonly<Record<string, number>> }
}

export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const file = await readJson(folder, 'tokenizer.json')
  const config = await readJson(folder, 'tokenizer_config.json')
  const vocabulary = Object.entries(vocabularyOf(file, folder))
  // Imported on demand, because it also loads native libraries, and built from the parsed files, because
  // its own loader looks for a missing file on the network.
  const { PreTrainedTokenizer } = await import('@xenova/transformers')
  return gpt2Tokenizer(new PreTrainedTokenizer(file, config), vocabulary)
}

interface Coder {
  encode(text: string): number[]
  decode(tokens: number[]): string
}

function gpt2Tokenizer(coder: Coder, vocabulary: readonly [string, number][]): Tokenizer {
  const texts: string[] = []

  function encode(text: string, { limit = Number.POSITIVE_INFINITY, param = 'text' } = {}): number[] {
    const tokens: number[] = []
    for (const piece of pieces(text.toWellFormed())) {
      if (piece.length > PIECE + MAX_WORD) {
        const message = `${param}: expected words of at most ${MAX_WORD} characters, got a longer one`
        throw new RequestError('context_length_exceeded', message, { param })
      }
      for (const token of coder.encode(piece)) tokens.push(token)
      if (tokens.length > limit) break
    }
    return tokens
  }

  function decode(tokens: readonly number[]): string {
    for (const token of tokens) {
      if (!(Number.isInteger(token) && token >= 0 && token < vocabulary.length)) {
        throw new RequestError(
          'invalid_request',
          `tokens: expected token ids from 0 to ${vocabulary.length - 1}, got ${token}`,
          { param: 'tokens' }
        )
      }
    }
    // The library refuses an empty list.
    return tokens.length === 0 ? '' : coder.decode([...tokens])
  }

  return {
    vocabularySize: vocabulary.length,
    encode,
    decode,
    decodeToken(token) {
      texts[token] ??= decode([token])
      return texts[token]
    }
  }
}

const PIECE = 4096
/** The longer a word, the longer the BPE takes for each of its letters: up to 7 µs at 16,000, 5 µs at 4,096, 1 µs in English. */
const MAX_WORD = 4096
const boundary = /(?<=\p{L})(?=\P{L})|(?<=\p{N})(?=\P{N})/gu

/** Pieces that encode alone as they do in the whole: a word of the BPE always ends behind letters, and behind digits. */
function* pieces(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    boundary.lastIndex = start + PIECE
    const end = boundary.exec(text)?.index ?? text.length
    yield text.slice(start, end)
    start = end
  }
}

function vocabularyOf(file: object, folder: string): Readonly<Record<string, number>> {
  const vocabulary = (file as Partial<TokenizerFile>).model?.vocab
  if (vocabulary === undefined) {
    throw new TokenizerError(
      `${join(folder, 'tokenizer.json')}: expected a vocabulary at model.vocab, got none`
    )
  }
  return vocabulary
}

async function readJson(folder: string, name: string): Promise<object> {
  const path = join(folder, name)
  const content = await read(path)
  const sums = await read(join(folder, 'SHA256SUMS'))
  const got = createHash('sha256').update(content).digest('hex')
  if (!sums.includes(`${got}  ${name}\n`)) {
    throw new TokenizerError(`${path}: expected the sha256 that SHA256SUMS says, got ${got}`)
  }
  return JSON.parse(content)
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new TokenizerError(`${path}: expected a file, got ${(error as Error).message}`)
  }
}
