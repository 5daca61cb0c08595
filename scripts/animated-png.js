/** Several PNG images of one size as one animated PNG (APNG): the same compressed data, numbered and timed. */
import { crc32 } from 'node:zlib'

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10])

function* chunksOf(png) {
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at)
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) }
    at += length + 12
  }
}

function chunk(type, ...parts) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(body.length - 4)
  frame.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)])
}

const uint32 = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** @param frames { png, ms } in order; it repeats for ever */
export function animatedPng(frames) {
  let sequence = 0
  const [first] = frames
  const header = [...chunksOf(first.png)].find(({ type }) => type === 'IHDR').data
  const parts = [SIGNATURE, chunk('IHDR', header), chunk('acTL', uint32(frames.length), uint32(0))]
  frames.forEach(({ png, ms }, i) => {
    const control = Buffer.alloc(18)
    header.copy(control, 0, 0, 8) // width and height; no offset
    control.writeUInt16BE(ms, 16)
    parts.push(chunk('fcTL', uint32(sequence++), control, Buffer.from([0x03, 0xe8, 0, 0])))
    for (const { type, data } of chunksOf(png)) {
      if (type === 'IDAT') parts.push(i === 0 ? chunk('IDAT', data) : chunk('fdAT', uint32(sequence++), data))
    }
  })
  return Buffer.concat([...parts, chunk('IEND')])
}
