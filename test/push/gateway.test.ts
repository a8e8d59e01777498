import { createDecipheriv, createECDH, createPublicKey, type ECDH, hkdfSync, randomBytes, verify } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keptStore } from '../support/kept-store.ts'
import { type PushRequest, TestPushGateway } from '../support/push-gateway.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'
import * as rig from '../sync/rig.ts'
import { keysOf, mustSetPusher, pusherBody } from './rig.ts'

const NOTIFY = '/_matrix/push/v1/notify'

/** A push service, and a server whose gateway calls it. */
let service: TestPushGateway
let server: TestServer
beforeEach(async () => {
  service = await TestPushGateway.start()
  server = await startTestServer()
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await service[Symbol.asyncDispose]()
})

const notify = (devices: readonly unknown[], more: Record<string, unknown> = {}) =>
  server.api().post<{ rejected: string[]; errcode: string }>(NOTIFY, {
    notification: { event_id: '$one', room_id: '!room', counts: { unread: 2 }, ...more, devices },
  })

/** What a browser has of a subscription. */
interface Browser {
  readonly keys: ECDH
  readonly auth: Buffer
  readonly device: Record<string, unknown>
}
function subscribe(path: string, data: Record<string, unknown> = {}): Browser {
  const keys = createECDH('prime256v1')
  keys.generateKeys()
  const auth = randomBytes(16)
  const device = {
    app_id: 'org.example.web',
    pushkey: keys.getPublicKey().toString('base64url'),
    data: { endpoint: `${service.origin}${path}`, auth: auth.toString('base64url'), ...data },
  }
  return { keys, auth, device }
}

/** RFC 8291 §4 and RFC 8188, as the browser reads it. */
function decrypted({ body }: PushRequest, { keys, auth }: Browser): unknown {
  const salt = body.subarray(0, 16)
  const keyLength = body.readUInt8(20)
  const theirs = body.subarray(21, 21 + keyLength)
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), keys.getPublicKey(), theirs])
  const ikm = Buffer.from(hkdfSync('sha256', keys.computeSecret(theirs), auth, info, 32))
  const key = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: aes128gcm\0', 16))
  const nonce = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: nonce\0', 12))
  const record = body.subarray(21 + keyLength)
  const decipher = createDecipheriv('aes-128-gcm', key, nonce)
  decipher.setAuthTag(record.subarray(-16))
  const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()])
  return JSON.parse(padded.subarray(0, padded.lastIndexOf(2)).toString())
}

const vapidKeyOf = async (of: TestServer, token: string): Promise<string> =>
  (await of.api(token).get<{ public_key: string }>('/_hearth/push/v1/vapid')).body.public_key

describe('push-gateway-api, our own gateway to Web Push', () => {
  it('encrypts for the browser and signs with its key', async () => {
    const alice = await server.register('alice')
    const browser = subscribe('/to/alice')
    const reply = await notify([browser.device], { prio: 'high', type: 'm.room.message', content: { body: 'hi' } })
    expect([reply.status, reply.body]).toEqual([200, { rejected: [] }])
    const [request] = service.requests
    if (!request) throw new Error('nothing came')
    expect(request.path).toBe('/to/alice')
    expect(request.headers).toMatchObject({ 'content-encoding': 'aes128gcm', urgency: 'high', ttl: '86400' })
    expect(decrypted(request, browser)).toEqual({
      event_id: '$one',
      room_id: '!room',
      type: 'm.room.message',
      content: { body: 'hi' },
      unread: 2,
    })

    const publicKey = await vapidKeyOf(server, alice.accessToken)
    const [, jwt, shown] = /^vapid t=([^,]+), ?k=(.+)$/.exec(request.headers.authorization ?? '') ?? []
    expect(shown).toBe(publicKey)
    const [head, claims, signature] = (jwt ?? '').split('.')
    const point = Buffer.from(publicKey, 'base64url')
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'))
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' }, format: 'jwk' })
    const signed = Buffer.from(`${head}.${claims}`)
    const isGood = verify(
      'sha256',
      signed,
      { key, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature ?? '', 'base64url'),
    )
    expect(isGood).toBe(true)
    expect(JSON.parse(Buffer.from(claims ?? '', 'base64url').toString())).toMatchObject({ aud: service.origin })
  })

  it('keeps its key over a restart', async () => {
    const openStore = keptStore()
    const first = await startTestServer({ openStore })
    const { accessToken } = await first.register('alice')
    const publicKey = await vapidKeyOf(first, accessToken)
    await first[Symbol.asyncDispose]()
    await using second = await startTestServer({ openStore })
    expect(await vapidKeyOf(second, accessToken)).toBe(publicKey)
    expect(Buffer.from(publicKey, 'base64url')).toHaveLength(65)
  })

  it('leaves out what does not fit into a message', async () => {
    const browser = subscribe('/to/alice')
    await notify([browser.device], { room_name: 'Kitchen', content: { body: 'x'.repeat(10_000) } })
    const [request] = service.requests
    if (!request) throw new Error('nothing came')
    expect(decrypted(request, browser)).toEqual({ event_id: '$one', room_id: '!room', room_name: 'Kitchen', unread: 2 })
  })

  it('lets an app have events only, and only the last of a room', async () => {
    const browser = subscribe('/to/alice', { events_only: true, only_last_per_room: true })
    await notify([browser.device], { event_id: undefined, room_id: undefined })
    expect(service.requests).toEqual([])
    await notify([browser.device])
    expect(service.requests[0]?.headers.topic).toMatch(/^[\w-]{32}$/)
  })

  it.each([404, 410])('rejects a push key for which the push service answers %d', async (status) => {
    service.answer = () => ({ status })
    const browser = subscribe('/to/alice')
    expect((await notify([browser.device])).body).toEqual({ rejected: [browser.device.pushkey] })
  })

  it('rejects keys that are none, and addresses that it must not go to', async () => {
    const good = { ...subscribe('/to/alice').device, pushkey: subscribe('/').keys.getPublicKey().toString('base64url') }
    const devices = [
      { ...good, pushkey: 'no key' },
      { ...good, pushkey: `B${'A'.repeat(86)}` },
      { ...good, data: { endpoint: 'http://example.org/push', auth: 'A'.repeat(22) } },
      { ...good, data: { endpoint: 'https://10.0.0.1/push', auth: 'A'.repeat(22) } },
    ]
    for (const device of devices) expect((await notify([device])).body).toEqual({ rejected: [device.pushkey] })
    expect(service.requests).toEqual([])
  })

  it('asks for another try where the push service has a bad moment', async () => {
    service.answer = () => ({ status: 503 })
    const reply = await notify([subscribe('/to/alice').device])
    expect([reply.status, reply.body.errcode]).toEqual([502, 'M_UNKNOWN'])
  })

  it('is told by pushers of its own server without a way through the network', async () => {
    await using own = await startTestServer({ config: { public_base_url: 'https://home.example' } })
    const alice = await own.register('alice')
    const bob = await own.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const browser = subscribe('/to/bob')
    const { pushkey, app_id, data } = browser.device as { pushkey: string; app_id: string; data: object }
    await mustSetPusher(
      bob,
      pusherBody('', { pushkey, app_id, data: { ...data, url: `https://home.example${NOTIFY}` } }),
    )
    const eventId = await rig.say(alice, roomId, 'hi')
    await service.until(() => service.requests.length === 1)
    const [request] = service.requests
    if (!request) throw new Error('nothing came')
    expect(decrypted(request, browser)).toMatchObject({ event_id: eventId, content: { body: 'hi' }, unread: 1 })
    service.answer = () => ({ status: 410 })
    await rig.say(alice, roomId, 'gone')
    await expect.poll(() => keysOf(bob)).toEqual([])
  })
})

describe('push-gateway-api, our own gateway to UnifiedPush', () => {
  const isEndpoint = ({ method }: PushRequest) =>
    method === 'GET' ? { status: 200, body: { unifiedpush: { version: 1 } } } : { status: 201 }

  it('says what it is', async () => {
    const { status, body } = await server.api().get(NOTIFY)
    expect([status, body]).toEqual([200, { unifiedpush: { gateway: 'matrix' } }])
  })

  it('gives the notification to the endpoint that is the push key, without what is of devices', async () => {
    service.answer = isEndpoint
    const device = { app_id: 'org.example.up', pushkey: `${service.origin}/up?id=1` }
    expect((await notify([device])).body).toEqual({ rejected: [] })
    const [asked, told] = service.requests
    expect([asked?.method, told?.method, told?.path]).toEqual(['GET', 'POST', '/up'])
    expect(JSON.parse(told?.body.toString() ?? '')).toEqual({
      notification: { event_id: '$one', room_id: '!room', counts: { unread: 2 } },
    })
    await notify([device])
    expect(service.requests.map(({ method }) => method)).toEqual(['GET', 'POST', 'POST'])
  })

  it('calls nobody who does not want it', async () => {
    service.answer = () => ({ status: 200, body: { hello: 'world' } })
    const pushkey = `${service.origin}/shop/order`
    expect((await notify([{ app_id: 'a', pushkey }])).body).toEqual({ rejected: [pushkey] })
    expect(service.requests.map(({ method }) => method)).toEqual(['GET'])
    const wrong = ['no address', 'http://example.org/up', 'https://user:pw@example.org/up', 'https://192.168.1.1/up']
    for (const each of wrong) expect((await notify([{ app_id: 'a', pushkey: each }])).body.rejected).toEqual([each])
  })

  it('reports an endpoint that is gone, and takes no crowds', async () => {
    service.answer = (request) => (request.method === 'GET' ? isEndpoint(request) : { status: 404 })
    const pushkey = `${service.origin}/up`
    expect((await notify([{ app_id: 'a', pushkey }])).body).toEqual({ rejected: [pushkey] })
    const crowd = Array.from({ length: 21 }, () => ({ app_id: 'a', pushkey }))
    expect((await notify(crowd)).status).toBe(400)
  })
})
