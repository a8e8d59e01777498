import type { Sharp, SharpOptions } from 'sharp'
import { MatrixError, tooLarge } from '../../shared/matrix/errors.ts'
import type { MediaFiles } from './media-files.ts'

/** What is decoded at all, by what the bytes say; a vector image is a program, so none of these. */
const DECODED: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/webp',
  'image/gif',
  'image/avif',
])
/** libvips' own names for the decoders of those. */
const LOADERS = [
  'VipsForeignLoadJpeg',
  'VipsForeignLoadPng',
  'VipsForeignLoadWebp',
  'VipsForeignLoadNsgif',
  'VipsForeignLoadHeif',
]
/** Enough to know each of these kinds. */
const SNIFFED_BYTES = 4_100
/** About 160 MB decoded; a bomb says more. */
export const MAX_PIXELS = 40_000_000
/** The longest that one image is worked on. */
const TIMEOUT_SECONDS = 20
const WORKED_ON_AT_ONCE = 2
const MAX_WAITING = 50

let load: Promise<(input: string | Buffer | Buffer[], options?: SharpOptions) => Sharp> | undefined

/** Loaded when first needed: the native library costs more than the whole rest of the start. */
function loadDecoder(): NonNullable<typeof load> {
  load ??= import('sharp').then(({ default: sharp }) => {
    sharp.cache(false)
    sharp.concurrency(1)
    // A file may look like one kind to us and like another to libvips, which knows a hundred.
    sharp.block({ operation: ['VipsForeignLoad'] })
    sharp.unblock({ operation: LOADERS })
    return (input, options) =>
      sharp(input, { limitInputPixels: MAX_PIXELS, ...options }).timeout({ seconds: TIMEOUT_SECONDS })
  })
  return load
}

export interface ImageFacts {
  readonly contentType: string
  /** As it is shown, so after it was turned. */
  readonly width: number
  readonly height: number
  /** 1 for what does not move, and for APNG, whose frames libvips does not see. */
  readonly frames: number
  readonly hasAlpha: boolean
}

/** Decodes others' images: only known kinds, bounded in pixels and time, and a few at once, which bounds the memory. */
export class Images {
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** @throws MatrixError 503 M_UNKNOWN where too many are waiting */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= WORKED_ON_AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING) {
        throw new MatrixError('M_UNKNOWN', 503, 'Too many images are being worked on')
      }
      // Whoever ends hands its place over.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#running += 1
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running -= 1
    }
  }

  /** @throws MatrixError 400 M_UNKNOWN for what is no image that we decode, 413 M_TOO_LARGE for one with too many pixels */
  async read(files: MediaFiles, name: string): Promise<ImageFacts> {
    return factsOf(files.pathOf(name), await files.beginning(name, SNIFFED_BYTES))
  }

  /** @throws MatrixError as `read` */
  async readBytes(bytes: Buffer): Promise<ImageFacts> {
    return factsOf(bytes, bytes.subarray(0, SNIFFED_BYTES))
  }

  /** @throws MatrixError as `read` */
  async open(input: string | Buffer | Buffer[], options: SharpOptions = {}): Promise<Sharp> {
    return (await loadDecoder())(input, options)
  }
}

async function factsOf(input: string | Buffer, beginning: Uint8Array): Promise<ImageFacts> {
  const { fileTypeFromBuffer } = await import('file-type')
  const type = (await fileTypeFromBuffer(beginning))?.mime
  if (type === undefined || !DECODED.has(type)) {
    throw unreadable('This file is not an image of a kind that is decoded here')
  }
  return decoding(async () => {
    const open = await loadDecoder()
    const facts = await open(input).metadata()
    if (facts.width * facts.height > MAX_PIXELS) throw tooManyPixels()
    // Turned pictures are as wide as they are high.
    const isTurned = (facts.orientation ?? 1) >= 5
    const [width, height] = isTurned ? [facts.height, facts.width] : [facts.width, facts.height]
    return { contentType: type, width, height, frames: facts.pages ?? 1, hasAlpha: facts.hasAlpha }
  })
}

/** Turns what the decoder says of a bad file into what a client is told. */
export async function decoding<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    // libvips has its own words for each kind and fault, in plain errors; those of the disk have a code or a class.
    if (cause instanceof Error && cause.constructor === Error && !('code' in cause)) {
      throw /pixel limit|timeout/i.test(cause.message) ? tooManyPixels() : unreadable('The image cannot be read')
    }
    throw cause
  }
}

const tooManyPixels = (): MatrixError => tooLarge('The image has too many pixels')
export const unreadable = (message: string): MatrixError => new MatrixError('M_UNKNOWN', 400, message)
