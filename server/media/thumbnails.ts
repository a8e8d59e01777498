import type { ResizeOptions } from 'sharp'
import { type Apng, drawFrames, parseApng } from './apng.ts'
import { decoding, type ImageFacts, type Images, MAX_PIXELS } from './images.ts'
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
/** Frames and pixels of an animation together stay under `MAX_PIXELS`. */
const MAX_FRAMES = 200
/** Read as a whole; larger ones stand still. */
const MAX_APNG_BYTES = 20 * 1024 * 1024
/** Sent as they are where they are small enough: what the specification lists for thumbnails. */
const SENT_AS_THEY_ARE: ReadonlySet<string> = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp'])

/** An image, and the folder that it lies in. */
export interface Original {
  readonly files: MediaFiles
  readonly name: string
}

/** Small versions of images, made when first asked for and kept as files. */
export class Thumbnails {
  readonly #images: Images
  readonly #files: MediaFiles
  readonly #making = new Map<string, Promise<Thumbnail>>()

  /** @param files where the thumbnails go: all of it can be made again */
  constructor(images: Images, files: MediaFiles) {
    this.#images = images
    this.#files = files
  }

  /**
   * @throws MatrixError 400 M_UNKNOWN for what is no image that we decode, 413 M_TOO_LARGE for one with too many pixels
   */
  async of(original: Original, request: ThumbnailRequest): Promise<Thumbnail> {
    const size = sizeFor(request)
    const kind = `${size.method}-${size.width}x${size.height}${request.animated ? '-animated' : ''}`
    const key = `${original.name} ${kind}`
    const running = this.#making.get(key)
    if (running) return running
    const made = this.#findOrMake(original, kind, { ...size, animated: request.animated }).finally(() => {
      this.#making.delete(key)
    })
    this.#making.set(key, made)
    return made
  }

  async #findOrMake(original: Original, kind: string, request: ThumbnailRequest): Promise<Thumbnail> {
    for (const { ending, contentType } of FORMATS) {
      const name = `${original.name}.${kind}-${ending}`
      if ((await this.#files.sizeOf(name)) !== undefined) return { name, contentType }
    }
    return this.#images.inTurn(() => decoding(() => this.#make(original, kind, request)))
  }

  async #make(
    { files, name: originalName }: Original,
    kind: string,
    { width, height, method, animated }: ThumbnailRequest,
  ): Promise<Thumbnail> {
    const facts = await this.#images.read(files, originalName)
    const apng = animated && facts.contentType === 'image/apng' ? await this.#readApng(files, originalName) : undefined
    const isMoving = apng !== undefined || (animated && mayMove(facts))
    const isSmall = facts.width <= width && facts.height <= height
    if (isSmall && (apng || (SENT_AS_THEY_ARE.has(facts.contentType) && (isMoving || facts.frames === 1)))) {
      return { name: undefined, contentType: facts.contentType }
    }
    const size: ResizeOptions = {
      width,
      height,
      // "scale": one side may stay larger than asked, neither smaller; "crop": just the asked shape.
      fit: method === 'crop' ? 'cover' : 'outside',
      withoutEnlargement: true,
    }
    const format = isMoving ? WEBP : facts.hasAlpha ? PNG : JPEG
    const bytes = apng
      ? await this.#animate(apng, size)
      : await (await this.#images.open(files.pathOf(originalName), { animated: isMoving }))
          .autoOrient()
          .resize(size)
          .toFormat(format.ending, format.options)
          .toBuffer()
    const name = `${originalName}.${kind}-${format.ending}`
    await this.#files.writeBytes(name, bytes)
    return { name, contentType: format.contentType }
  }

  async #readApng(files: MediaFiles, name: string): Promise<Apng | undefined> {
    const sizeBytes = (await files.sizeOf(name)) ?? 0
    if (sizeBytes > MAX_APNG_BYTES) return undefined
    const bytes = Buffer.from(await files.beginning(name, sizeBytes))
    return parseApng(bytes, { frames: MAX_FRAMES, pixels: MAX_PIXELS })
  }

  async #animate(apng: Apng, size: ResizeOptions): Promise<Buffer> {
    const small: Buffer[] = []
    const raw = { width: apng.width, height: apng.height, channels: 4 } as const
    for await (const frame of drawFrames(this.#images, apng)) {
      small.push(await (await this.#images.open(frame, { raw })).resize(size).png({ compressionLevel: 1 }).toBuffer())
    }
    const delay = apng.frames.map(({ delayMs }) => delayMs)
    return (await this.#images.open(small, { join: { animated: true } }))
      .webp({ ...WEBP.options, delay, loop: apng.plays })
      .toBuffer()
  }
}

/** Longer and larger animations stand still. */
function mayMove({ width, height, frames }: ImageFacts): boolean {
  return frames > 1 && frames <= MAX_FRAMES && width * height * frames <= MAX_PIXELS
}

const JPEG = { ending: 'jpeg', contentType: 'image/jpeg', options: { quality: 82, mozjpeg: false } } as const
const PNG = { ending: 'png', contentType: 'image/png', options: { compressionLevel: 7 } } as const
const WEBP = { ending: 'webp', contentType: 'image/webp', options: { quality: 80 } } as const
const FORMATS = [JPEG, PNG, WEBP]

function sizeFor({ width, height, method }: ThumbnailRequest): { width: number; height: number; method: Method } {
  // Pictures of people and rooms are asked for as squares, and the rest is cut to the shape of the sizes that are asked for.
  const mustBeSquare = method === 'crop' && width === height
  const sizes = SIZES.filter((size) => size.method === method && (!mustBeSquare || size.width === size.height))
  const size = sizes.find((candidate) => candidate.width >= width && candidate.height >= height) ?? sizes.at(-1)
  if (!size) throw new RangeError(`no thumbnail sizes for ${method}`)
  return size
}
