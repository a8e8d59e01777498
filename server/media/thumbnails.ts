import { MatrixError, tooLarge } from '../../shared/matrix/errors.ts'
import type { MediaFiles } from './media-files.ts'

export type Method = 'crop' | 'scale'
export interface ThumbnailRequest {
  readonly width: number
  readonly height: number
  readonly method: Method
  readonly animated: boolean
}
export interface Thumbnail {
  /** Its file, or `undefined` where the original is to be sent because it is no larger. */
  readonly name: string | undefined
  readonly contentType: string
}

/** The sizes that are made; a request gets the smallest that is no smaller, a square one if it is. Spec: §Thumbnails. */
const SIZES: readonly { readonly width: number; readonly height: number; readonly method: Method }[] = [
  { width: 32, height: 32, method: 'crop' },
  { width: 96, height: 96, method: 'crop' },
  { width: 320, height: 240, method: 'crop' },
  { width: 320, height: 320, method: 'crop' },
  { width: 800, height: 600, method: 'crop' },
  { width: 800, height: 800, method: 'crop' },
  { width: 96, height: 96, method: 'scale' },
  { width: 320, height: 240, method: 'scale' },
  { width: 640, height: 480, method: 'scale' },
  { width: 800, height: 600, method: 'scale' },
  { width: 1600, height: 1200, method: 'scale' },
]
/** What is decoded at all, by what the bytes say; a vector image is a program, so none of these. */
const DECODED: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/png',
  'image/apng',
  'image/webp',
  'image/gif',
  'image/avif',
])
/** Enough to know each of these kinds. */
const SNIFFED_BYTES = 4_100
/** About 160 MB decoded; a bomb says more. */
const MAX_PIXELS = 40_000_000
/** Frames and pixels of an animation together stay under `MAX_PIXELS`. */
const MAX_FRAMES = 200
const MADE_AT_ONCE = 2
const MAX_WAITING = 50

/** Small versions of images, made when first asked for and kept as files. */
export class Thumbnails {
  readonly #originals: MediaFiles
  readonly #files: MediaFiles
  readonly #making = new Map<string, Promise<Thumbnail>>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** @param files where the thumbnails go: all of it can be made again */
  constructor(originals: MediaFiles, files: MediaFiles) {
    this.#originals = originals
    this.#files = files
  }

  /**
   * @throws MatrixError 400 M_UNKNOWN for what is no image that we decode, 413 M_TOO_LARGE for one with too many pixels
   */
  async of(mediaId: string, request: ThumbnailRequest): Promise<Thumbnail> {
    const size = sizeFor(request)
    const kind = `${size.method}-${size.width}x${size.height}${request.animated ? '-animated' : ''}`
    const key = `${mediaId} ${kind}`
    const running = this.#making.get(key)
    if (running) return running
    const made = this.#findOrMake(mediaId, kind, { ...size, animated: request.animated }).finally(() => {
      this.#making.delete(key)
    })
    this.#making.set(key, made)
    return made
  }

  async #findOrMake(mediaId: string, kind: string, request: ThumbnailRequest): Promise<Thumbnail> {
    for (const { ending, contentType } of FORMATS) {
      const name = `${mediaId}.${kind}-${ending}`
      if ((await this.#files.sizeOf(name)) !== undefined) return { name, contentType }
    }
    await this.#turn()
    try {
      return await this.#make(mediaId, kind, request)
    } finally {
      this.#running -= 1
      this.#waiting.shift()?.()
    }
  }

  async #make(
    mediaId: string,
    kind: string,
    { width, height, method, animated }: ThumbnailRequest,
  ): Promise<Thumbnail> {
    const path = this.#originals.pathOf(mediaId)
    // Both are loaded when first needed: the native library costs more than the whole rest of the start.
    const { fileTypeFromBuffer } = await import('file-type')
    const type = (await fileTypeFromBuffer(await this.#originals.beginning(mediaId, SNIFFED_BYTES)))?.mime
    if (type === undefined || !DECODED.has(type))
      throw noThumbnail('This file is not an image of a kind that has thumbnails')
    const { default: sharp } = await import('sharp')
    sharp.cache(false)
    sharp.concurrency(1)
    try {
      const facts = await sharp(path, { limitInputPixels: MAX_PIXELS }).metadata()
      const frames = facts.pages ?? 1
      if (facts.width * facts.height > MAX_PIXELS) throw tooLarge('The image has too many pixels for a thumbnail')
      // Turned pictures are as wide as they are high.
      const isTurned = (facts.orientation ?? 1) >= 5
      const [ownWidth, ownHeight] = isTurned ? [facts.height, facts.width] : [facts.width, facts.height]
      const isMoving = animated && frames > 1 && frames <= MAX_FRAMES && ownWidth * ownHeight * frames <= MAX_PIXELS
      if (ownWidth <= width && ownHeight <= height && (isMoving || frames === 1)) {
        return { name: undefined, contentType: type }
      }
      const image = sharp(path, { limitInputPixels: MAX_PIXELS, animated: isMoving })
        .autoOrient()
        .resize({
          width,
          height,
          // "scale": one side may stay larger than asked, neither smaller; "crop": just the asked shape.
          fit: method === 'crop' ? 'cover' : 'outside',
          withoutEnlargement: true,
        })
      const format = isMoving ? WEBP : facts.hasAlpha ? PNG : JPEG
      const bytes = await image.toFormat(format.ending, format.options).toBuffer()
      const name = `${mediaId}.${kind}-${format.ending}`
      await this.#files.writeBytes(name, bytes)
      return { name, contentType: format.contentType }
    } catch (cause) {
      if (cause instanceof Error && /pixel limit/i.test(cause.message)) {
        throw tooLarge('The image has too many pixels for a thumbnail')
      }
      if (
        cause instanceof Error &&
        /unsupported image|corrupt|premature|bad|invalid|VipsJpeg|pngload|gifload|webpload|heifload|Input file/i.test(
          cause.message,
        )
      ) {
        throw noThumbnail('The image cannot be read')
      }
      throw cause
    }
  }

  /** A place among those that decode: memory is bounded by how many do so at once. */
  async #turn(): Promise<void> {
    if (this.#running >= MADE_AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING)
        throw new MatrixError('M_UNKNOWN', 503, 'Too many thumbnails are being made')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#running += 1
  }
}

const JPEG = { ending: 'jpeg', contentType: 'image/jpeg', options: { quality: 82, mozjpeg: false } } as const
const PNG = { ending: 'png', contentType: 'image/png', options: { compressionLevel: 7 } } as const
const WEBP = { ending: 'webp', contentType: 'image/webp', options: { quality: 80 } } as const
const FORMATS = [JPEG, PNG, WEBP]

const noThumbnail = (message: string): MatrixError => new MatrixError('M_UNKNOWN', 400, message)

function sizeFor({ width, height, method }: ThumbnailRequest): { width: number; height: number; method: Method } {
  // Pictures of people and rooms are asked for as squares, and the rest is cut to the shape of the sizes that are asked for.
  const mustBeSquare = method === 'crop' && width === height
  const sizes = SIZES.filter((size) => size.method === method && (!mustBeSquare || size.width === size.height))
  const size = sizes.find((candidate) => candidate.width >= width && candidate.height >= height) ?? sizes.at(-1)
  if (!size) throw new RangeError(`no thumbnail sizes for ${method}`)
  return size
}
