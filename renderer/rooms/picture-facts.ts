import { encode } from 'blurhash'

export interface PictureFacts {
  readonly width: number
  readonly height: number
  readonly blurhash: string
  /** A smaller JPEG or PNG for the timeline; `null` where the picture itself is small enough. */
  readonly thumbnail: { readonly blob: Blob; readonly width: number; readonly height: number } | null
}

const THUMBNAIL_SIDE = 800
const SMALL_ENOUGH_BYTES = 400_000

/** Looks at a picture before it is sent: its size, a blur of it, a small version. `null` where it cannot be read as one. */
export async function factsOfPicture(file: Blob): Promise<PictureFacts | null> {
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(file)
  } catch {
    // not a picture that this browser knows; it goes as a file
    return null
  }
  try {
    const { width, height } = bitmap
    const blur = draw(bitmap, 32)
    const pixels = blur.context.getImageData(0, 0, blur.canvas.width, blur.canvas.height)
    const blurhash = encode(pixels.data, pixels.width, pixels.height, 4, 3)
    const isMoving = file.type === 'image/gif'
    const needsThumbnail = !isMoving && (file.size > SMALL_ENOUGH_BYTES || Math.max(width, height) > 2 * THUMBNAIL_SIDE)
    if (!needsThumbnail) return { width, height, blurhash, thumbnail: null }
    const { canvas } = draw(bitmap, THUMBNAIL_SIDE)
    const type = file.type === 'image/png' ? 'image/png' : 'image/jpeg'
    const blob = await canvas.convertToBlob({ type, quality: 0.8 })
    const thumbnail = blob.size < file.size ? { blob, width: canvas.width, height: canvas.height } : null
    return { width, height, blurhash, thumbnail }
  } finally {
    bitmap.close()
  }
}

function draw(
  bitmap: ImageBitmap,
  side: number,
): { canvas: OffscreenCanvas; context: OffscreenCanvasRenderingContext2D } {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height))
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale)),
  )
  const context = canvas.getContext('2d')
  if (!context) throw new Error('no canvas to draw on')
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
  return { canvas, context }
}

/** How large to show a picture in the timeline, in CSS pixels, before it has been fetched. */
export function shownSize(width: number | null, height: number | null): { width: number; height: number } {
  if (!width || !height) return { width: 280, height: 200 }
  const scale = Math.min(1, 340 / width, 320 / height)
  return { width: Math.max(72, Math.round(width * scale)), height: Math.max(48, Math.round(height * scale)) }
}
