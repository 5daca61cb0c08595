import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { ApiKeys } from './api-keys.js'
import type { Config } from './config.js'
import { readCertificate, readKeys } from './credentials.js'

/**
 * Reads keys and certificate again at each hang-up, one after the other. Each that cannot be read stays as it was, and
 * holds the other up in nothing: a certificate half renewed is no reason to let a key in that was taken away.
 */
export async function reloadAt(
  hangUps: AsyncIterable<unknown>,
  config: Config,
  { log, server }: FastifyInstance,
  keys: ApiKeys | undefined
): Promise<void> {
  const again = async (what: string, read: () => Promise<void>) => {
    try {
      await read()
      log.info(`${what}: read again`)
    } catch (error) {
      log.error(`${what}: as before: ${(error as Error).message}`)
    }
  }
  for await (const _hangUp of hangUps) {
    if (keys) await again('keys', async () => keys.replace((await readKeys(config)) ?? []))
    if (server instanceof TlsServer)
      await again('certificate', async () => server.setSecureContext((await readCertificate(config))!))
    if (!keys && !(server instanceof TlsServer))
      log.info('SIGHUP: neither keys nor a certificate to read again')
  }
}
