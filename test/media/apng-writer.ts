import { crc32 } from 'node:zlib'
import sharp from 'sharp'

interface FrameWish {
  readonly color: string
  readonly left?: number
  readonly top?: number
  readonly width: number
  readonly height: number
  readonly disposal?: 0 | 1 | 2
  readonly blend?: 0 | 1
}

/** An animated PNG of frames in one colour each, 100 ms a frame. The first one is as large as the whole. */
export async function makeApng(frames: readonly FrameWish[]): Promise<Buffer> {
  const parts: Buffer[] = []
  let sequence = 0
  for (const [i, { color, left = 0, top = 0, width, height, disposal = 0, blend = 0 }] of frames.entries()) {
    const png = await sharp({ create: { width, height, channels: 4, background: color } })
      .png()
      .toBuffer()
    const chunks = chunksOf(png)
    if (i === 0) {
      const control = Buffer.alloc(8)
      control.writeUInt32BE(frames.length, 0)
      parts.push(png.subarray(0, 8), chunk('IHDR', chunks.get('IHDR')), chunk('acTL', control))
    }
    const control = Buffer.alloc(26)
    for (const [at, value] of [sequence++, width, height, left, top].entries()) control.writeUInt32BE(value, at * 4)
    control.writeUInt16BE(100, 20)
    control.writeUInt16BE(1_000, 22)
    control.writeUInt8(disposal, 24)
    control.writeUInt8(blend, 25)
    parts.push(chunk('fcTL', control))
    const data = chunks.get('IDAT') ?? Buffer.alloc(0)
    if (i === 0) parts.push(chunk('IDAT', data))
    else {
      const number = Buffer.alloc(4)
      number.writeUInt32BE(sequence++, 0)
      parts.push(chunk('fdAT', Buffer.concat([number, data])))
    }
  }
  return Buffer.concat([...parts, chunk('IEND')])
}

function chunksOf(png: Buffer): Map<string, Buffer> {
  const chunks = new Map<string, Buffer>()
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const type = png.toString('latin1', at + 4, at + 8)
    const data = png.subarray(at + 8, at + 8 + png.readUInt32BE(at))
    chunks.set(type, Buffer.concat([chunks.get(type) ?? Buffer.alloc(0), data]))
  }
  return chunks
}

function chunk(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const numbers = Buffer.alloc(8)
  numbers.writeUInt32BE(data.length, 0)
  numbers.writeUInt32BE(crc32(named), 4)
  return Buffer.concat([numbers.subarray(0, 4), named, numbers.subarray(4)])
}
