import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { beforeEach, describe, expect, it } from 'vitest'
import type { FederationClient } from '../../server/federation/index.ts'
import { createFetchRemote } from '../../server/media/index.ts'
import type { Outbound } from '../../server/net/index.ts'
import { manualClock } from '../support/manual-clock.ts'

const limits = { timeoutMs: 900_000, maxBytes: 1_000_000, waitMs: 0 }
const media = { serverName: 'other.test', mediaId: 'a' }
const beginning = '--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\n'

let clock: ReturnType<typeof manualClock>
let body: PassThrough
let fetchRemote: ReturnType<typeof createFetchRemote>
beforeEach(() => {
  clock = manualClock()
  body = new PassThrough()
  const client: Pick<FederationClient, 'open'> = {
    open: async (_destination, _endpoint, { signal }) => {
      signal?.addEventListener('abort', () => body.destroy(new DOMException('aborted', 'AbortError')))
      const headers = { 'content-type': 'multipart/mixed; boundary=b' }
      return { status: 200, headers, body, url: 'https://other.test/' }
    },
  }
  fetchRemote = createFetchRemote({ client: client as FederationClient, outbound: {} as Outbound, clock })
})

describe('media of a slow server', () => {
  it('is waited for as long as a little comes again and again', async () => {
    body.write(beginning)
    const { bytes } = await fetchRemote(media, limits)
    const chunks = bytes[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    let length = 0
    for (let i = 0; i < 10; i += 1) {
      clock.advance(20_000)
      body.write('x'.repeat(100))
      length += (await chunks.next()).value.length
    }
    body.end('\r\n--b--')
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) length += next.value.length
    expect(length).toBe(1_000)
  })

  it('is given up when nothing comes, in the middle and before it begins', async () => {
    body.write(beginning)
    const { bytes } = await fetchRemote(media, limits)
    body.write('soup')
    const all = buffer(bytes)
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(31_000)
    await expect(all).rejects.toMatchObject({ name: 'RemoteError', failure: 'timeout' })

    body = new PassThrough()
    const begun = fetchRemote(media, limits)
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(31_000)
    await expect(begun).rejects.toMatchObject({ name: 'RemoteError', failure: 'timeout' })
  })

  it('has the time that an upload may take before it begins', async () => {
    const begun = fetchRemote(media, { ...limits, waitMs: 40_000 })
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(60_000)
    body.end(`${beginning}soup\r\n--b--`)
    expect((await buffer((await begun).bytes)).toString()).toBe('soup')
  })
})
