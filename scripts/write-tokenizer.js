/**
 * Writes models/tokenizers/gpt2/{tokenizer.json,tokenizer_config.json,SHA256SUMS} from GPT-2's published vocabulary and merges:
 *   node scripts/write-tokenizer.js ENCODER_JSON VOCAB_BPE [FOLDER]
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [encoderJson, vocabBpe, folder = fileURLToPath(new URL('../models/tokenizers/gpt2', import.meta.url))] =
  process.argv.slice(2)
if (vocabBpe === undefined) {
  console.error('usage: node scripts/write-tokenizer.js ENCODER_JSON VOCAB_BPE [FOLDER]')
  process.exit(2)
}

const vocab = JSON.parse(readFileSync(encoderJson, 'utf8'))
const [, ...lines] = readFileSync(vocabBpe, 'utf8').split('\n') // the first line is a version
const merges = lines.filter(Boolean).map((line) => line.split(' '))

// Unicode's White_Space, spelled out: JavaScript's \s has U+FEFF and lacks U+0085, the original has it the other way round.
const space = '\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000'
const pattern = [
  "'s|'t|'re|'ve|'m|'ll|'d",
  ' ?\\p{L}+',
  ' ?\\p{N}+',
  ` ?[^${space}\\p{L}\\p{N}]+`,
  `[${space}]+(?![^${space}])`,
  `[${space}]+`
].join('|')

const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [], // none: no text may turn into an end of text
  normalizer: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
    ]
  },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: '',
    end_of_word_suffix: '',
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab,
    merges
  }
}
const config = {
  tokenizer_class: 'GPT2Tokenizer',
  model_max_length: 1024,
  clean_up_tokenization_spaces: false
}
const files = {
  'tokenizer.json': JSON.stringify(tokenizer),
  'tokenizer_config.json': `${JSON.stringify(config, null, 2)}\n`
}
const sums = Object.entries(files).map(
  ([name, content]) => `${createHash('sha256').update(content).digest('hex')}  ${name}\n`
)
for (const [name, content] of Object.entries({ ...files, SHA256SUMS: sums.join('') }))
  writeFileSync(join(folder, name), content)
console.log(`${folder}: ${Object.keys(vocab).length} tokens, ${merges.length} merges`)
