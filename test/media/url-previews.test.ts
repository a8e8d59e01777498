import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MediaCache } from '../../server/media/cache.ts'
import { Images } from '../../server/media/images.ts'
import { MediaFiles } from '../../server/media/media-files.ts'
import { createUrlPreviews } from '../../server/media/url-previews/index.ts'
import { AddressGuard, createOutbound } from '../../server/net/index.ts'
import { type HostileWeb, sends, startHostileWeb, WEB_ADDRESS } from './hostile-web.ts'
import { MediaRig } from './rig.ts'

let rig: MediaRig
let web: HostileWeb
beforeEach(async () => {
  rig = await MediaRig.make()
  web = await startHostileWeb()
})
afterEach(async () => {
  await web[Symbol.asyncDispose]()
  await rig[Symbol.asyncDispose]()
})

async function open(timeoutMs: number) {
  const { environment } = rig
  const store = await rig.openStore()
  const outbound = createOutbound({ guard: new AddressGuard([`${WEB_ADDRESS}/32`]), trustedCa: [] })
  const files = new MediaFiles(rig.folder)
  await files.open()
  const cache = await MediaCache.open({ environment, store, files, maxBytes: 1_000_000, onRemoved: async () => {} })
  const previews = createUrlPreviews({ environment, store, outbound, cache, images: new Images(), timeoutMs })
  return { previews, outbound }
}
const failed = { status: 502, errcode: 'M_UNKNOWN' }

describe('previews of pages, some of them slow on purpose', () => {
  it('end when their time is up, whether nothing comes or a little all the time', async () => {
    const { previews, outbound } = await open(300)
    await using _outbound = outbound
    await using _previews = previews
    web.pages.set('/silent', () => {})
    web.pages.set('/drip', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' })
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    })
    for (const path of ['/silent', '/drip'])
      await expect(previews.get(web.url + path, undefined)).rejects.toMatchObject(failed)
    // A moment later it is not tried again, later it is.
    web.pages.set('/silent', sends('<title>Back</title>'))
    await expect(previews.get(`${web.url}/silent`, undefined)).rejects.toMatchObject(failed)
    rig.clock.advance(300_000)
    expect(await previews.get(`${web.url}/silent`, undefined)).toEqual({ 'og:title': 'Back' })
  })

  it('are a few at once, and turned away where too many wait', async () => {
    const { previews, outbound } = await open(60_000)
    await using _outbound = outbound
    const wanted = Array.from({ length: 50 }, (_, i) => previews.get(`${web.url}/${i}`, undefined))
    const all = Promise.allSettled(wanted)
    for (let i = 0; i < 50; i += 1) web.pages.set(`/${i}`, () => {})
    await expect(wanted[49]).rejects.toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' })
    // A stop waits for nobody's page.
    await previews[Symbol.asyncDispose]()
    const results = await all
    expect(results.every(({ status }) => status === 'rejected')).toBe(true)
    expect(web.seen.length).toBeLessThanOrEqual(4)
  })

  it('go without a picture that does not come in time', async () => {
    const { previews, outbound } = await open(1_000)
    await using _outbound = outbound
    await using _previews = previews
    web.pages.set('/silent.png', () => {})
    web.pages.set('/page', sends('<title>Page</title><meta property="og:image" content="/silent.png">'))
    expect(await previews.get(`${web.url}/page`, undefined)).toEqual({ 'og:title': 'Page' })
  })

  it('are kept over a restart', async () => {
    web.pages.set('/kept', sends('<title>Kept</title>'))
    for (let start = 0; start < 2; start += 1) {
      const { previews, outbound } = await open(10_000)
      await using _outbound = outbound
      expect(await previews.get(`${web.url}/kept`, undefined)).toEqual({ 'og:title': 'Kept' })
    }
    expect(web.seen).toHaveLength(1)
  })
})
