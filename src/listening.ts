/** Where the server is to be reached. */
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.js'
import { ConfigError } from './setting.js'

const listenErrors: Readonly<Record<string, (config: Config) => string>> = {
  EADDRINUSE: ({ host, port }) => `--port: expected a free port, got ${port}, which is in use on ${host}`,
  EACCES: ({ port }) => `--port: expected a port that this user may listen on, got ${port}`,
  EADDRNOTAVAIL: ({ host }) => `--host: expected an address of this machine, got "${host}"`,
  ENOTFOUND: ({ host }) => `--host: expected an address of this machine, got "${host}"`
}

/** @throws {ConfigError} when the address cannot be had */
export async function listen(app: FastifyInstance, config: Config): Promise<void> {
  try {
    await app.listen({ host: config.host, port: config.port })
  } catch (error) {
    await app.close()
    const message = listenErrors[(error as NodeJS.ErrnoException).code ?? '']?.(config)
    throw message ? new ConfigError(message) : error
  }
}

/** The address for a browser on this machine. */
export function addressOf(app: FastifyInstance, { tlsCert }: Config): string {
  const { address, family, port } = app.server.address() as AddressInfo
  const host = ['0.0.0.0', '::'].includes(address)
    ? 'localhost'
    : family === 'IPv6'
      ? `[${address}]`
      : address
  return `${tlsCert === null ? 'http' : 'https'}://${host}:${port}`
}
