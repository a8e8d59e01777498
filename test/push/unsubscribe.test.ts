import { describe, expect, it } from 'vitest'
import { pusherRows } from '../../server/push/store.ts'
import { put } from '../../server/store/index.ts'
import { keptStore } from '../support/kept-store.ts'
import { startTestServer } from '../support/test-server.ts'
import { keysOf } from './rig.ts'

const PATH = '/_hearth/push/v1/unsubscribe?key='

describe('the link in a mail of unread messages', () => {
  it('asks in the language of the reader, and ends the mails only when they say so', async () => {
    const openStore = keptStore()
    const first = await startTestServer({ openStore })
    const { userId, accessToken } = await first.register('bob')
    await first[Symbol.asyncDispose]()
    const row = {
      id: `${userId}\0m.email\0bob@example.org`,
      userId,
      kind: 'email',
      appId: 'm.email',
      pushkey: 'bob@example.org',
      appDisplayName: 'Mail',
      deviceDisplayName: 'bob@example.org',
      profileTag: null,
      lang: 'en',
      data: '{}',
      deviceId: null,
      setTs: 0,
      position: 0,
      unsubscribeKey: 'the key',
    }
    await (await openStore()).commit(() => [put(pusherRows, row)])

    await using server = await startTestServer({ openStore })
    const bob = { api: server.api(accessToken) }
    const api = server.api()
    const german = { 'accept-language': 'de-DE,de;q=0.9' }
    const asked = await api.fetch(`${PATH}the%20key`, { headers: german })
    expect(asked.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(await asked.text()).toContain('<form method="post"><button>Keine Mails mehr</button></form>')
    expect(await keysOf(bob)).toEqual(['bob@example.org'])
    await api.fetch(`${PATH}another`, { method: 'POST' })
    expect(await keysOf(bob)).toEqual(['bob@example.org'])
    // As mail programs do it by themselves (RFC 8058).
    const ended = await api.fetch(`${PATH}the%20key`, {
      method: 'POST',
      body: 'List-Unsubscribe=One-Click',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect([ended.status, ended.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(await keysOf(bob)).toEqual([])
  })
})
