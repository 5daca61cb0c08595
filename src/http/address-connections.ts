import { BlockList, isIPv6, type Server, type Socket } from 'node:net'
import { networkOf } from './network-of.js'

export interface AddressLimit {
  /** Connections that one address may have open. */
  readonly most: number
  /** Proxies, whose connections are those of many. */
  readonly trustProxy: readonly string[]
}

/** Ends what one address opens too much, before anything of it is read: a stranger cannot take every connection. */
export function limitAddressConnections(
  server: Server,
  { most, trustProxy }: AddressLimit,
  onCut: () => void
): void {
  const proxies = listOf(trustProxy)
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    if (remoteAddress === undefined || proxies.check(remoteAddress, familyOf(remoteAddress))) return
    const network = networkOf(remoteAddress)
    const count = open.get(network) ?? 0
    if (count >= most) {
      onCut()
      socket.destroy()
      return
    }
    open.set(network, count + 1)
    socket.once('close', () => {
      const left = open.get(network)! - 1
      if (left > 0) open.set(network, left)
      else open.delete(network)
    })
  })
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    if (bits === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(bits), familyOf(address))
  }
  return list
}

const familyOf = (address: string) => (isIPv6(address) ? 'ipv6' : 'ipv4')
