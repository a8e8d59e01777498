/** Animated PNGs, whose frames libvips does not see. Spec: W3C PNG, third edition, §Animation. */
import { crc32 } from 'node:zlib'
import { decoding, type Images } from './images.ts'

export interface ApngFrame {
  /** The frame as a PNG of its own. */
  readonly png: Buffer
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  readonly delayMs: number
  readonly disposal: 'none' | 'background' | 'previous'
  readonly blend: 'source' | 'over'
}

export interface Apng {
  readonly width: number
  readonly height: number
  readonly frames: readonly ApngFrame[]
  /** 0: without end. */
  readonly plays: number
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
/** What each frame's own PNG needs of the whole, in this order. */
const SHARED = new Set(['PLTE', 'tRNS', 'gAMA', 'cHRM', 'sRGB', 'iCCP', 'cICP'])
/** At most this much of it is carried into each frame: colour profiles can be made large. */
const MAX_SHARED_BYTES = 64 * 1024
const DISPOSALS = ['none', 'background', 'previous'] as const

/**
 * @returns `undefined` for what does not move, is broken, or has more frames or pixels in all its frames than allowed
 */
export function parseApng(
  bytes: Buffer,
  limits: { readonly frames: number; readonly pixels: number },
): Apng | undefined {
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) return undefined
  let header: Buffer | undefined
  let plays: number | undefined
  let control: Buffer | undefined
  let sharedBytes = 0
  let pixels = 0
  let data: Buffer[] = []
  const shared: Buffer[] = []
  const frames: ApngFrame[] = []
  /** @returns whether all is well so far */
  const endFrame = (): boolean => {
    if (!control || data.length === 0) return true
    const frame = header && frameOf({ header, control, shared, data })
    control = undefined
    data = []
    if (!frame || frames.length >= limits.frames) return false
    pixels += frame.width * frame.height
    frames.push(frame)
    return pixels <= limits.pixels
  }

  for (const [type, chunk] of chunksOf(bytes)) {
    if (type === 'IHDR' && !header && chunk.length === 13) header = chunk
    else if (type === 'acTL' && chunk.length === 8) plays = chunk.readUInt32BE(4)
    else if (SHARED.has(type) && frames.length === 0 && data.length === 0) {
      sharedBytes += chunk.length
      if (sharedBytes > MAX_SHARED_BYTES) return undefined
      shared.push(encodeChunk(type, chunk))
    } else if (type === 'fcTL') {
      if (chunk.length !== 26 || !endFrame()) return undefined
      control = chunk
    } else if (type === 'IDAT') data.push(chunk)
    else if (type === 'fdAT' && chunk.length > 4) data.push(chunk.subarray(4))
    // A picture for those who know no animation comes before the first control chunk, and is none of the frames.
    if (!control) data = []
  }
  if (!endFrame() || !header || plays === undefined || frames.length < 2) return undefined
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const fits = frames.every((frame) => frame.left + frame.width <= width && frame.top + frame.height <= height)
  // Frames may be small and the whole large.
  return fits && width * height * frames.length <= limits.pixels ? { width, height, frames, plays } : undefined
}

function* chunksOf(bytes: Buffer): Generator<readonly [string, Buffer]> {
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    if (at + 12 + length > bytes.length) return
    yield [bytes.toString('latin1', at + 4, at + 8), bytes.subarray(at + 8, at + 8 + length)]
    at += 12 + length
  }
}

function frameOf(parts: {
  readonly header: Buffer
  readonly control: Buffer
  readonly shared: readonly Buffer[]
  readonly data: readonly Buffer[]
}): ApngFrame | undefined {
  const { header, control, shared, data } = parts
  const [width, height] = [control.readUInt32BE(4), control.readUInt32BE(8)]
  const disposal = DISPOSALS[control.readUInt8(24)]
  const blend = control.readUInt8(25)
  if (width === 0 || height === 0 || disposal === undefined || blend > 1) return undefined
  const ownHeader = Buffer.from(header)
  ownHeader.writeUInt32BE(width, 0)
  ownHeader.writeUInt32BE(height, 4)
  const pixels = encodeChunk('IDAT', Buffer.concat(data))
  return {
    png: Buffer.concat([
      SIGNATURE,
      encodeChunk('IHDR', ownHeader),
      ...shared,
      pixels,
      encodeChunk('IEND', Buffer.alloc(0)),
    ]),
    left: control.readUInt32BE(12),
    top: control.readUInt32BE(16),
    width,
    height,
    delayMs: Math.round((control.readUInt16BE(20) * 1_000) / (control.readUInt16BE(22) || 100)),
    disposal,
    blend: blend === 0 ? 'source' : 'over',
  }
}

function encodeChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.alloc(12 + data.length)
  chunk.writeUInt32BE(data.length, 0)
  chunk.write(type, 4, 'latin1')
  data.copy(chunk, 8)
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length)
  return chunk
}

/**
 * Each frame as it is shown, one after the other: RGBA, as large as the whole. A buffer is good until the next is asked for.
 * @throws MatrixError 400 M_UNKNOWN for frames that cannot be read
 */
export async function* drawFrames(images: Images, { width, height, frames }: Apng): AsyncGenerator<Buffer> {
  let canvas: Buffer = Buffer.alloc(width * height * 4)
  for (const frame of frames) {
    const pixels = await decoding(async () => {
      const opened = await images.open(frame.png)
      return opened.toColourspace('srgb').ensureAlpha().raw({ depth: 'uchar' }).toBuffer()
    })
    const place = { ...frame, canvasWidth: width }
    const before = frame.disposal === 'previous' ? cutOut(canvas, place) : undefined
    if (frame.blend === 'source') paste(canvas, pixels, place)
    else {
      const below = await images.open(canvas, { raw: { width, height, channels: 4 } })
      const raw = { width: frame.width, height: frame.height, channels: 4 } as const
      canvas = await below
        .composite([{ input: pixels, raw, left: frame.left, top: frame.top }])
        .raw()
        .toBuffer()
    }
    yield canvas
    if (frame.disposal === 'background') paste(canvas, undefined, place)
    else if (before) paste(canvas, before, place)
  }
}

interface Place extends Pick<ApngFrame, 'left' | 'top' | 'width' | 'height'> {
  readonly canvasWidth: number
}

const rowStart = ({ left, top, canvasWidth }: Place, row: number): number => ((top + row) * canvasWidth + left) * 4

/** @param pixels `undefined`: see-through */
function paste(canvas: Buffer, pixels: Buffer | undefined, place: Place): void {
  const length = place.width * 4
  for (let row = 0; row < place.height; row += 1) {
    const at = rowStart(place, row)
    if (pixels) pixels.copy(canvas, at, row * length, (row + 1) * length)
    else canvas.fill(0, at, at + length)
  }
}

function cutOut(canvas: Buffer, place: Place): Buffer {
  const length = place.width * 4
  const pixels = Buffer.alloc(length * place.height)
  for (let row = 0; row < place.height; row += 1) {
    const at = rowStart(place, row)
    canvas.copy(pixels, row * length, at, at + length)
  }
  return pixels
}
