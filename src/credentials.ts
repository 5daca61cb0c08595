/** What the server keeps secret, read from disk: at the start, and again at each SIGHUP. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { type ApiKey, KEY_LINE, parseKey } from './api-keys.js'
import type { Config } from './config.js'
import { ConfigError } from './setting.js'

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/**
 * Undefined where none are configured: then everybody may do everything.
 * @throws {ConfigError}
 */
export async function readKeys({ apiKey, apiKeysFile }: Config): Promise<readonly ApiKey[] | undefined> {
  const given = apiKey.map((key, i) => ({ key, where: `--api-key ${i + 1}` }))
  if (apiKeysFile === null) return given.length > 0 ? distinct(given) : undefined
  const lines = (await readSecret('--api-keys-file', apiKeysFile)).toString().split('\n')
  const keys = lines.flatMap((line, i) => {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) return []
    const key = parseKey(text)
    if (key) return [{ key, where: `line ${i + 1} of ${apiKeysFile}` }]
    // The line itself stays unsaid: somebody may have put a secret there.
    throw new ConfigError(`--api-keys-file: expected ${KEY_LINE} in line ${i + 1} of ${apiKeysFile}`)
  })
  // A file that was emptied by mistake must not open the server to everybody.
  if (keys.length === 0) throw new ConfigError(`--api-keys-file: expected keys in ${apiKeysFile}, got none`)
  return distinct([...given, ...keys])
}

/** Of two keys with one hash or one name nobody could tell which of them decides. */
function distinct(keys: readonly { readonly key: ApiKey; readonly where: string }[]): readonly ApiKey[] {
  const known = new Map<string, string>()
  for (const { key, where } of keys) {
    for (const [what, value] of [
      ['hashes', key.hash.toString('hex')],
      ['names', key.name]
    ] as const) {
      const other = known.get(`${what} ${value}`)
      if (other === undefined) known.set(`${what} ${value}`, where)
      else throw new ConfigError(`${where}: expected keys of different ${what}, got that of ${other} again`)
    }
  }
  return keys.map(({ key }) => key)
}

/**
 * Undefined where the server speaks plain HTTP.
 * @throws {ConfigError}
 */
export async function readCertificate({ tlsCert, tlsKey }: Config): Promise<Certificate | undefined> {
  if (tlsCert === null && tlsKey === null) return undefined
  if (tlsKey === null) throw new ConfigError('--tls-key: expected with --tls-cert, got none')
  if (tlsCert === null) throw new ConfigError('--tls-cert: expected with --tls-key, got none')
  const certificate = {
    cert: await readSecret('--tls-cert', tlsCert),
    key: await readSecret('--tls-key', tlsKey)
  }
  try {
    createSecureContext(certificate)
    const { cert, key } = certificate
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) throw new Error('those of another')
  } catch (error) {
    const { message } = error as Error
    throw new ConfigError(`--tls-cert, --tls-key: expected a certificate and its key, got ${message}`)
  }
  return certificate
}

/** @throws {ConfigError} that names the flag */
export async function readSecret(flag: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new ConfigError(`${flag}: expected a file that can be read, got ${(error as Error).message}`)
  }
}
