/**
 * How bytes lie in every file of the store: in frames of a fixed head and a body.
 *
 * | bytes | what |
 * |---|---|
 * | 4 | mark: two bytes that never occur in UTF-8, so that no content can pass for a frame |
 * | 4 | length of the body |
 * | 4 | a number of the user's: in journals, where the batch of the frame began; elsewhere 0 |
 * | 4 | CRC-32 of body, length and number |
 *
 * Numbers are unsigned, little-endian.
 */
import { crc32 } from 'node:zlib'
import type { DiskFile } from './disk.ts'

export const frameHeadBytes = 16
/** Larger frames are neither written nor believed. */
export const maxBodyBytes = 256 * 1024 * 1024

const mark = Buffer.from([0xff, 0x48, 0xfe, 0x01])
const readAheadBytes = 1024 * 1024

export interface Frame {
  readonly body: Buffer
  readonly number: number
  /** Where the frame's head begins, and where the next one would. */
  readonly offset: number
  readonly end: number
}

/** Room for the head is left at the front; `sealFrame` fills it in when the number is known. */
export function newFrame(bodyBytes: number): Buffer {
  if (bodyBytes > maxBodyBytes) throw new RangeError(`${bodyBytes} bytes are too many for one change of the store`)
  const bytes = Buffer.allocUnsafe(frameHeadBytes + bodyBytes)
  mark.copy(bytes)
  bytes.writeUInt32LE(bodyBytes, 4)
  return bytes
}

export function sealFrame(bytes: Buffer, number: number): void {
  bytes.writeUInt32LE(number, 8)
  bytes.writeUInt32LE(checksum(bytes), 12)
}

/** A whole frame around the text. */
export function textFrame(text: string): Buffer {
  const bytes = newFrame(Buffer.byteLength(text))
  bytes.write(text, frameHeadBytes)
  sealFrame(bytes, 0)
  return bytes
}

function checksum(frame: Buffer): number {
  return crc32(frame.subarray(4, 12), crc32(frame.subarray(frameHeadBytes)))
}

/** @returns the body, or `undefined` when these bytes are not one whole and sound frame */
export function openFrame(bytes: Buffer): Buffer | undefined {
  if (bytes.length < frameHeadBytes || !bytes.subarray(0, 4).equals(mark)) return undefined
  if (bytes.readUInt32LE(4) !== bytes.length - frameHeadBytes) return undefined
  return checksum(bytes) === bytes.readUInt32LE(12) ? bytes.subarray(frameHeadBytes) : undefined
}

/** Reads frames one after the other, through a window of the file. */
export class FrameReader {
  readonly #file: DiskFile
  readonly #size: number
  #window: Buffer = Buffer.alloc(0)
  #windowStart = 0
  #next = 0

  /** @param size of the file, where it is known: no more memory is taken than it needs, which counts when a thousand rooms are opened */
  constructor(file: DiskFile, size = Number.POSITIVE_INFINITY) {
    this.#file = file
    this.#size = size
  }

  /** Where the next frame should begin. */
  get offset(): number {
    return this.#next
  }

  /** @returns `undefined` where no sound frame follows: at the end of the file, or at damage */
  async next(): Promise<Frame | undefined> {
    const frame = await this.#frameAt(this.#next)
    if (frame) this.#next = frame.end
    return frame
  }

  /** The first sound frame that begins after `offset`, whatever lies between. */
  async findAfter(offset: number): Promise<Frame | undefined> {
    for (let at = offset + 1; ; ) {
      const window = await this.#bytesAt(at, frameHeadBytes)
      if (window.length < frameHeadBytes) return undefined
      const rest = this.#window.subarray(at - this.#windowStart)
      const found = rest.indexOf(mark)
      if (found < 0) {
        at += Math.max(1, rest.length - mark.length + 1)
        continue
      }
      const frame = await this.#frameAt(at + found)
      if (frame) return frame
      at += found + 1
    }
  }

  async #frameAt(offset: number): Promise<Frame | undefined> {
    const head = await this.#bytesAt(offset, frameHeadBytes)
    if (head.length < frameHeadBytes || !head.subarray(0, 4).equals(mark)) return undefined
    const bodyBytes = head.readUInt32LE(4)
    if (bodyBytes > maxBodyBytes) return undefined
    const number = head.readUInt32LE(8)
    const bytes = await this.#bytesAt(offset, frameHeadBytes + bodyBytes)
    const body = openFrame(bytes)
    return body && { body, number, offset, end: offset + bytes.length }
  }

  async #bytesAt(offset: number, length: number): Promise<Buffer> {
    const isInside = offset >= this.#windowStart && offset + length <= this.#windowStart + this.#window.length
    if (!isInside) {
      this.#window = await this.#file.read(offset, Math.max(length, Math.min(readAheadBytes, this.#size - offset)))
      this.#windowStart = offset
    }
    const start = offset - this.#windowStart
    return this.#window.subarray(start, start + length)
  }
}
