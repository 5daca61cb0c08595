import { isIPv6 } from 'node:net'

/** Groups of 16 bits of an IPv6 address that a provider gives to one customer. */
const CUSTOMER_GROUPS = 4

/** Whose an address is: an IPv4 address, written as IPv6 or not, or the first 64 bits of an IPv6 address. */
export function networkOf(address: string): string {
  const [plain = ''] = address.split('%') // behind it stands an interface of this machine
  if (!isIPv6(plain)) return address
  const { hostname } = new URL(`http://[${plain}]`) // one way to write it
  const [, high, low] = /^\[::ffff:(\w+):(\w+)\]$/.exec(hostname) ?? []
  if (high && low) return [high, low].flatMap(bytesOf).join('.')
  const [front, back] = hostname.slice(1, -1).split('::').map(groupsOf)
  const zeros = Array(8 - front!.length - (back?.length ?? 0)).fill('0')
  return [...front!, ...zeros, ...(back ?? [])].slice(0, CUSTOMER_GROUPS).join(':')
}

const groupsOf = (text: string) => text.split(':').filter(Boolean)

function bytesOf(group: string): number[] {
  const bits = Number.parseInt(group, 16)
  return [bits >> 8, bits & 255]
}
