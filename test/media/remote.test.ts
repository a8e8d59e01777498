import { Readable } from 'node:stream'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FetchRemote } from '../../server/media/remote.ts'
import { RemoteError } from '../../server/net/index.ts'
import { notFound } from '../../shared/matrix/errors.ts'
import { bytesOf, MediaRig, streamOf } from './rig.ts'

let rig: MediaRig
beforeEach(async () => {
  rig = await MediaRig.make()
})
afterEach(() => rig[Symbol.asyncDispose]())

const remote = (mediaId: string) => ({ serverName: 'other.test', mediaId })
/** Another server, which counts how often it is asked. */
function otherServer(bytes: (mediaId: string) => Uint8Array | string = (mediaId) => `bytes of ${mediaId}`) {
  const asked: string[] = []
  const fetchRemote: FetchRemote = async ({ mediaId }) => {
    asked.push(mediaId)
    return { contentType: 'text/plain', fileName: `${mediaId}.txt`, bytes: streamOf(bytes(mediaId)) }
  }
  return { asked, fetchRemote }
}

describe('client-server-api §Content repository, media of other servers', () => {
  it('is 404 M_NOT_FOUND where nothing fetches it', async () => {
    const media = await rig.open()
    await expect(media.content(remote('a'), 0)).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
  })

  it('is fetched once for all who want it, and kept over a restart', async () => {
    const other = otherServer()
    const media = await rig.open(other)
    const all = await Promise.all([1, 2, 3].map(() => media.content(remote('a'), 0)))
    expect(all.map(({ contentType, fileName }) => [contentType, fileName])).toEqual(
      Array(3).fill(['text/plain', 'a.txt']),
    )
    const again = await rig.open(other)
    expect((await bytesOf(await again.content(remote('a'), 0))).toString()).toBe('bytes of a')
    expect(other.asked).toEqual(['a'])
  })

  it('makes room by what was not wanted for the longest time, files and thumbnails with it', async () => {
    const image = await sharp({ create: { width: 200, height: 200, channels: 3, background: '#123' } })
      .png()
      .toBuffer()
    const other = otherServer(() => image)
    const media = await rig.open({ ...other, maxCacheBytes: image.length * 3 })
    for (const mediaId of ['a', 'b', 'c']) {
      await media.thumbnail(remote(mediaId), { width: 32, height: 32, method: 'crop', animated: false }, 0)
      rig.clock.advance(2 * 3_600_000)
    }
    await media.content(remote('a'), 0)
    await media.content(remote('d'), 0)
    expect([await rig.filesIn('cache'), await rig.filesIn('thumbnails')].map(({ length }) => length)).toEqual([3, 2])
    await media.content(remote('a'), 0)
    expect(other.asked).toEqual(['a', 'b', 'c', 'd'])
    await media.content(remote('b'), 0)
    expect(other.asked).toEqual(['a', 'b', 'c', 'd', 'b'])
  })

  it('counts after a restart what is there, and forgets what nobody wants for a month', async () => {
    const other = otherServer(() => 'x'.repeat(1_000))
    const first = await rig.open({ ...other, maxCacheBytes: 10_000 })
    for (const mediaId of ['a', 'b', 'c']) await first.content(remote(mediaId), 0)
    const second = await rig.open({ ...other, maxCacheBytes: 3_000 })
    await second.content(remote('d'), 0)
    expect(await rig.filesIn('cache')).toHaveLength(3)
    rig.clock.advance(31 * 24 * 3_600_000)
    await second[Symbol.asyncDispose]()
    expect(await rig.filesIn('cache')).toEqual([])
  })

  it.each([
    [
      'M_TOO_LARGE',
      502,
      async () => ({ contentType: undefined, fileName: undefined, bytes: streamOf('x'.repeat(100_001)) }),
    ],
    ['M_NOT_FOUND', 404, () => Promise.reject(notFound('no such media'))],
    ['M_UNKNOWN', 502, () => Promise.reject(new RemoteError('other.test', 'unreachable', 'down'))],
    ['M_NOT_YET_UPLOADED', 504, () => Promise.reject(new RemoteError('other.test', 'timeout', 'slow'))],
    [
      'M_UNKNOWN',
      502,
      async () => {
        const bytes = new Readable({
          read() {
            this.push('half')
            this.destroy(new RemoteError('other.test', 'badAnswer', 'it broke off'))
          },
        })
        return { contentType: undefined, fileName: undefined, bytes }
      },
    ],
  ] as const)(
    'is answered %s with %s where it cannot be had, and nothing stays',
    async (errcode, status, fetchRemote) => {
      const media = await rig.open({ fetchRemote })
      await expect(media.content(remote('a'), 0)).rejects.toMatchObject({ status, errcode })
      expect(await rig.filesIn('cache')).toEqual([])
    },
  )

  it('is fetched a few at once from one server, which keeps nobody from those of others', async () => {
    const waiting: (() => void)[] = []
    const fetchRemote: FetchRemote = async ({ serverName, mediaId }) => {
      if (serverName === 'slow.test') await new Promise<void>((resolve) => waiting.push(resolve))
      return { contentType: 'text/plain', fileName: undefined, bytes: streamOf(mediaId) }
    }
    const media = await rig.open({ fetchRemote })
    const slow = Array.from({ length: 20 }, (_, i) => media.content({ serverName: 'slow.test', mediaId: `m${i}` }, 0))
    expect((await bytesOf(await media.content(remote('quick'), 0))).toString()).toBe('quick')
    expect(waiting.length).toBe(6)
    let isOver = false
    const all = Promise.all(slow).finally(() => {
      isOver = true
    })
    while (!isOver) {
      for (const wake of waiting.splice(0)) wake()
      await new Promise((resolve) => setImmediate(resolve))
      expect(waiting.length).toBeLessThanOrEqual(6)
    }
    expect(await all).toHaveLength(20)
  })

  it('has no thumbnail where it has too many pixels: 502 M_TOO_LARGE', async () => {
    const image = await sharp({ create: { width: 10_000, height: 10_000, channels: 3, background: '#123' } })
      .png()
      .toBuffer()
    const media = await rig.open({ ...otherServer(() => image), maxUploadBytes: 10_000_000 })
    const thumbnail = media.thumbnail(remote('a'), { width: 32, height: 32, method: 'crop', animated: false }, 0)
    await expect(thumbnail).rejects.toMatchObject({ status: 502, errcode: 'M_TOO_LARGE' })
  })

  it('is shown to nobody once it is quarantined, also before it was fetched', async () => {
    const other = otherServer()
    const media = await rig.open(other)
    await media.content(remote('a'), 0)
    for (const mediaId of ['a', 'b']) await media.moderation.setQuarantined(remote(mediaId), '@admin:hearth.test', true)
    for (const mediaId of ['a', 'b']) {
      await expect(media.content(remote(mediaId), 0)).rejects.toMatchObject({ status: 404 })
    }
    expect(other.asked).toEqual(['a'])
    await media.moderation.setQuarantined(remote('b'), '@admin:hearth.test', false)
    await media.content(remote('b'), 0)
  })
})
