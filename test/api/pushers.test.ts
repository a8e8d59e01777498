import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keysOf, mustSetPusher, pusherBody, pushersOf, setPusher } from '../push/rig.ts'
import { keptStore } from '../support/kept-store.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const URL = 'https://push.example.org/_matrix/push/v1/notify'

let server: TestServer
beforeEach(async () => {
  server = await startTestServer()
})
afterEach(() => server[Symbol.asyncDispose]())

describe('client-server-api §POST /pushers/set', () => {
  it('makes a pusher, shown as it was set, to its user alone', async () => {
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const body = pusherBody(URL, { profile_tag: 'xyz', data: { url: URL, format: 'event_id_only', own: { a: 1 } } })
    await mustSetPusher(alice, body)
    expect(await pushersOf(alice)).toEqual([body])
    expect(await pushersOf(bob)).toEqual([])
  })

  it('changes the pusher of the same app and push key, and removes it where the kind is null', async () => {
    const alice = await server.register('alice')
    await mustSetPusher(alice, pusherBody(URL))
    await mustSetPusher(alice, pusherBody(URL, { lang: 'de' }))
    expect(await pushersOf(alice)).toEqual([pusherBody(URL, { lang: 'de' })])
    const name = { app_id: 'org.example.app', pushkey: 'key of the phone', kind: null }
    await mustSetPusher(alice, { ...name, pushkey: 'another' })
    expect(await keysOf(alice)).toHaveLength(1)
    await mustSetPusher(alice, name)
    await mustSetPusher(alice, name)
    expect(await pushersOf(alice)).toEqual([])
  })

  it.each([
    ['no url', { data: {} }, 'M_MISSING_PARAM'],
    ['neither lang nor data', { data: undefined, lang: undefined }, 'M_MISSING_PARAM'],
    ['no name of the device', { device_display_name: undefined }, 'M_MISSING_PARAM'],
    ['no push key', { pushkey: undefined }, 'M_MISSING_PARAM'],
    ['plain HTTP', { data: { url: URL.replace('https', 'http') } }, 'M_INVALID_PARAM'],
    ['another path', { data: { url: 'https://push.example.org/notify' } }, 'M_INVALID_PARAM'],
    ['another scheme', { data: { url: 'ftp://push.example.org/_matrix/push/v1/notify' } }, 'M_INVALID_PARAM'],
    ['a password in the URL', { data: { url: URL.replace('push.', 'a:b@push.') } }, 'M_INVALID_PARAM'],
    ['another kind', { kind: 'pigeon' }, 'M_INVALID_PARAM'],
    ['a push key of 513 bytes', { pushkey: `${'é'.repeat(256)}x` }, 'M_INVALID_PARAM'],
    ['an app ID of 65 characters', { app_id: 'x'.repeat(65) }, 'M_INVALID_PARAM'],
    ['data without end', { data: { url: URL, more: 'x'.repeat(10_000) } }, 'M_INVALID_PARAM'],
    ['mail from a server that sends none', { kind: 'email', app_id: 'm.email', pushkey: 'a@b.c' }, 'M_INVALID_PARAM'],
  ])('refuses %s', async (_what, changes, errcode) => {
    const alice = await server.register('alice')
    const reply = await setPusher(alice, pusherBody(URL, changes))
    expect([reply.status, reply.body.errcode]).toEqual([400, errcode])
    expect(await pushersOf(alice)).toEqual([])
  })

  it('names all that is missing', async () => {
    const alice = await server.register('alice')
    const reply = await setPusher(alice, { kind: 'http', app_id: 'a', pushkey: 'p', app_display_name: 'A' })
    expect(reply.body.error).toBe('Missing parameters: device_display_name, lang, data')
  })

  it('takes the push key away from other users, unless it is to be appended', async () => {
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    await mustSetPusher(alice, pusherBody(URL))
    await mustSetPusher(bob, pusherBody(URL, { append: true }))
    expect(await keysOf(alice)).toHaveLength(1)
    await mustSetPusher(bob, pusherBody(URL, { append: false }))
    expect(await keysOf(alice)).toEqual([])
    expect(await keysOf(bob)).toHaveLength(1)
  })

  it('lets the oldest pusher of a device go for an eleventh', async () => {
    const alice = await server.register('alice')
    const phone = await server.login('alice')
    await mustSetPusher(alice, pusherBody(URL, { pushkey: 'laptop' }))
    for (let i = 0; i < 11; i += 1) await mustSetPusher(phone, pusherBody(URL, { pushkey: `p${i}` }))
    expect(await keysOf(alice)).toEqual(['laptop', ...Array.from({ length: 10 }, (_, i) => `p${i + 1}`)])
  })
})

describe('client-server-api §Push Notifications, the life of a pusher', () => {
  it('ends with the device whose access token set it', async () => {
    const alice = await server.register('alice')
    const phone = await server.login('alice')
    await mustSetPusher(alice, pusherBody(URL, { pushkey: 'laptop' }))
    await mustSetPusher(phone, pusherBody(URL, { pushkey: 'phone' }))
    expect((await phone.api.post('/_matrix/client/v3/logout')).status).toBe(200)
    await expect.poll(() => keysOf(alice)).toEqual(['laptop'])
  })

  it('ends with the account', async () => {
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    await mustSetPusher(alice, pusherBody(URL))
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'alice' },
      password: 'password of alice',
    }
    expect((await alice.api.post('/_matrix/client/v3/account/deactivate', { auth })).status).toBe(200)
    // The push key is free: nobody else's pusher has to be removed for bob's.
    await mustSetPusher(bob, pusherBody(URL, { append: true }))
    expect(await keysOf(bob)).toHaveLength(1)
  })

  it('outlives a restart', async () => {
    const openStore = keptStore()
    let token = ''
    {
      await using first = await startTestServer({ openStore })
      const alice = await first.register('alice')
      token = alice.accessToken
      await mustSetPusher(alice, pusherBody(URL))
    }
    await using second = await startTestServer({ openStore })
    expect(await pushersOf({ api: second.api(token) })).toEqual([pusherBody(URL)])
  })
})
