import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Media } from '../../server/media/index.ts'
import { makeApng } from './apng-writer.ts'
import { bytesOf, MediaRig, uploadOf } from './rig.ts'

let rig: MediaRig
let media: Media
beforeEach(async () => {
  rig = await MediaRig.make()
  media = await rig.open({ maxUploadBytes: 50_000_000 })
})
afterEach(() => rig[Symbol.asyncDispose]())

async function thumbnailOf(
  bytes: Uint8Array,
  wish: { width: number; height: number; animated?: boolean; method?: 'crop' },
) {
  const uri = await media.upload(uploadOf('@alice:hearth.test', bytes))
  const name = { serverName: 'hearth.test', mediaId: uri.split('/').at(-1) ?? '' }
  const { width, height, animated = false, method = 'scale' as const } = wish
  const content = await media.thumbnail(name, { width, height, method, animated }, 0)
  return { contentType: content.contentType, fileName: content.fileName, bytes: await bytesOf(content) }
}
/** The colour in the middle of each frame, and at its upper left. */
async function colorsOf(bytes: Buffer) {
  const { pages = 1, delay } = await sharp(bytes, { animated: true }).metadata()
  const colors: string[] = []
  for (let page = 0; page < pages; page += 1) {
    const { data, info } = await sharp(bytes, { page }).ensureAlpha().raw().toBuffer({ resolveWithObject: true })
    const at = (x: number, y: number) => {
      const [r = 0, g = 0, b = 0, a = 0] = data.subarray((y * info.width + x) * 4)
      return a < 128 ? '-' : r > 128 ? 'r' : g > 128 ? 'g' : b > 128 ? 'b' : '?'
    }
    colors.push(at(info.width >> 1, info.height >> 1) + at(1, 1))
  }
  return { colors, delay }
}
const whole = { width: 400, height: 400 }
const middle = { left: 100, top: 100, width: 200, height: 200 }

describe('client-server-api §Thumbnails, of animated PNGs', () => {
  it('keeps them moving as WebP, each frame as it is shown', async () => {
    const apng = await makeApng([
      { color: '#f00', ...whole },
      { color: '#0f0', ...middle, disposal: 1 },
      { color: '#00f', ...middle, disposal: 2, blend: 1 },
      { color: '#0000', ...middle, blend: 1 },
      { color: '#0000', ...middle, blend: 0 },
    ])
    const { contentType, bytes, fileName } = await thumbnailOf(apng, { width: 96, height: 96, animated: true })
    expect([contentType, fileName]).toEqual(['image/webp', 'thumbnail.webp'])
    // The last two look the same, and so are one in WebP.
    expect(await colorsOf(bytes)).toEqual({ colors: ['rr', 'gr', 'br', '-r'], delay: [100, 100, 100, 200] })
  })

  it('sends small ones as they are where they may move, and never where they must not', async () => {
    const apng = await makeApng([
      { color: '#f00', width: 20, height: 20 },
      { color: '#0f0', width: 20, height: 20 },
    ])
    const moving = await thumbnailOf(apng, { width: 96, height: 96, animated: true })
    expect([moving.contentType, moving.bytes.equals(apng)]).toEqual(['image/apng', true])
    const still = await thumbnailOf(apng, { width: 96, height: 96 })
    expect(still.contentType).toBe('image/png')
    expect(still.bytes.includes('acTL')).toBe(false)
  })

  it('lets them stand still with too many frames, or frames that do not fit', async () => {
    const frame = { color: '#f00', width: 100, height: 100 }
    const many = await makeApng(Array(201).fill(frame))
    expect((await thumbnailOf(many, { width: 32, height: 32, animated: true })).contentType).toBe('image/png')
    const outside = await makeApng([frame, { ...frame, left: 50 }])
    expect((await thumbnailOf(outside, { width: 32, height: 32, animated: true })).contentType).toBe('image/png')
  })

  it('refuses one whose frames are broken', async () => {
    const apng = await makeApng([
      { color: '#f00', ...whole },
      { color: '#0f0', ...whole },
    ])
    const at = apng.indexOf('fdAT') + 20
    apng.fill(0xff, at, at + 40)
    const thumbnail = thumbnailOf(apng, { width: 32, height: 32, animated: true })
    await expect(thumbnail).rejects.toMatchObject({ status: 400, errcode: 'M_UNKNOWN' })
  })
})

describe('client-server-api §Thumbnails, of other images', () => {
  it('shows a turned picture upright', async () => {
    const turned = await sharp({ create: { width: 400, height: 200, channels: 3, background: '#f00' } })
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer()
    const { bytes } = await thumbnailOf(turned, { width: 32, height: 32 })
    const { width, height, orientation } = await sharp(bytes).metadata()
    expect({ width, height, orientation }).toEqual({ width: 96, height: 192, orientation: undefined })
  })

  it.each(['gif', 'webp'] as const)(
    'keeps a moving %s moving as WebP, and lets it stand still unasked',
    async (format) => {
      const frames = await Promise.all(
        ['#f00', '#0f0', '#00f'].map((background) =>
          sharp({ create: { ...whole, channels: 3, background } })
            .png()
            .toBuffer(),
        ),
      )
      const moving = await sharp(frames, { join: { animated: true } })
        .toFormat(format)
        .toBuffer()
      const asked = await thumbnailOf(moving, { width: 96, height: 96, animated: true })
      expect([asked.contentType, (await colorsOf(asked.bytes)).colors]).toEqual(['image/webp', ['rr', 'gg', 'bb']])
      const still = await thumbnailOf(moving, { width: 96, height: 96 })
      expect((await colorsOf(still.bytes)).colors).toEqual(['rr'])
    },
  )

  it('makes one of the specified kinds of an AVIF, however small', async () => {
    const avif = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#f00' } })
      .avif()
      .toBuffer()
    const { contentType, bytes } = await thumbnailOf(avif, { width: 96, height: 96 })
    const { width, format } = await sharp(bytes).metadata()
    expect([contentType, format, width]).toEqual(['image/jpeg', 'jpeg', 16])
  })

  it.each([
    ['a drawing', Buffer.from('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
    [
      'a drawing that begins like a PNG',
      Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.from('<svg/>')]),
    ],
    ['a PDF', Buffer.from('%PDF-1.7\n1 0 obj')],
    ['a TIFF', Buffer.from('II*\0\x08\0\0\0', 'latin1')],
    ['nothing', Buffer.alloc(0)],
  ])('refuses %s', async (_what, bytes) => {
    await expect(thumbnailOf(bytes, { width: 32, height: 32 })).rejects.toMatchObject({ status: 400 })
  })

  it.each(['jpeg', 'png', 'gif', 'webp', 'avif'] as const)('refuses half a file of %s', async (format) => {
    const noise = await sharp({
      create: { ...whole, channels: 3, background: '#888', noise: { type: 'gaussian', mean: 128, sigma: 40 } },
    })
      .toFormat(format)
      .toBuffer()
    const half = noise.subarray(0, noise.length / 2)
    await expect(thumbnailOf(half, { width: 32, height: 32 })).rejects.toMatchObject({
      status: 400,
      errcode: 'M_UNKNOWN',
    })
  })

  it('makes many that are asked for at once', async () => {
    const picture = await sharp({ create: { ...whole, channels: 3, background: '#f00' } })
      .png()
      .toBuffer()
    const all = await Promise.all(Array.from({ length: 12 }, () => thumbnailOf(picture, { width: 32, height: 32 })))
    expect(all.every(({ contentType }) => contentType === 'image/jpeg')).toBe(true)
  })
})
