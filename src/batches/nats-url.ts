/** Where a NATS server is, and who asks there. */
export interface NatsUrl {
  /** Host and port: what may be shown. */
  readonly server: string
  readonly tls: boolean
  readonly user: string
  readonly password: string
}

/** Undefined where it is none: nats://host:port, tls:// for an encrypted one; user:password@ or token@ may stand before the host. */
export function parseNatsUrl(text: string): NatsUrl | undefined {
  if (!/^(nats|tls):\/\//.test(text) || !URL.canParse(text)) return undefined
  const { protocol, host, port, username, password: pass, pathname, search, hash } = new URL(text)
  if (host === '' || !['', '/'].includes(pathname + search + hash)) return undefined
  const server = port === '' ? `${host}:4222` : host
  try {
    const [user = '', password = ''] = [username, pass].map(decodeURIComponent)
    return { server, tls: protocol === 'tls:', user, password }
  } catch {
    return undefined // a % that begins no escape
  }
}
