import { type AddressInfo, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFederation, selfNameOf } from '../../server/federation/index.ts'
import { serverKeys } from '../../server/federation/store.ts'
import { canonicalJson } from '../../server/protocol/canonical-json.ts'
import { checkEventSignatures, finishEvent } from '../../server/protocol/event-signing.ts'
import type { Json, JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { getRoomVersion } from '../../server/protocol/room-versions.ts'
import { checkJsonSignature, isTextSigned, signJson, signText } from '../../server/protocol/signing.ts'
import { makeSigningKey, type SigningKey } from '../../server/protocol/signing-key.ts'
import { type ForeignServer, sendJson } from '../support/foreign-server.ts'
import { type Rig, type RigOptions, startRig } from './rig.ts'

let rig: Rig
const start = async (options?: RigOptions): Promise<void> => {
  rig = await startRig(options)
}
const startAnew = async (options: RigOptions): Promise<void> => {
  await rig[Symbol.asyncDispose]()
  await start(options)
}
beforeEach(() => start())
afterEach(() => rig[Symbol.asyncDispose]())

const DAY = 86_400_000
const v4 = getRoomVersion('4')
const v10 = getRoomVersion('10')

/** An event as a server makes it. */
function eventOf(serverName: string, key: SigningKey, ts = rig.clock.now(), rules = v10): Pdu {
  return finishEvent({
    draft: {
      room_id: '!r:here.test',
      type: 'm.room.message',
      sender: `@someone:${serverName}`,
      content: { body: 'x' },
      prev_events: [],
      auth_events: [],
      depth: 1,
      origin_server_ts: ts,
    },
    rules,
    serverName,
    key,
  }).pdu
}

/** Whether the event's signatures are believed. */
async function isBelieved(pdu: Pdu, rules = v10, vouchers?: readonly string[]): Promise<boolean> {
  const keyOf = await rig.federation.keys.keysFor([pdu], rules, vouchers)
  return checkEventSignatures({ pdu, rules, keyOf }).ok
}

const isSignedBy = (server: ForeignServer) => isBelieved(eventOf(server.name, server.key))

async function get(path: string): Promise<{ readonly status: number; readonly body: JsonObject }> {
  const response = await fetch(rig.url + path)
  return { status: response.status, body: (await response.json()) as JsonObject }
}

async function query(serverKeys: JsonObject): Promise<readonly JsonObject[]> {
  const response = await fetch(`${rig.url}/_matrix/key/v2/query`, {
    method: 'POST',
    body: JSON.stringify({ server_keys: serverKeys }),
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { server_keys: JsonObject[] }).server_keys
}

/** A server that is gone: nobody answers under its name. */
function goes({ name }: ForeignServer): void {
  rig.srv.delete(`_matrix-fed._tcp.${name}`)
}

describe('server-server-api §Publishing Keys', () => {
  it('publishes the signing key, signed with itself, good for a day', async () => {
    const { status, body } = await get('/_matrix/key/v2/server')
    const { signingKey } = rig.own
    expect([status, body]).toMatchObject([
      200,
      { server_name: 'here.test', verify_keys: { 'ed25519:own': { key: signingKey.publicKey } }, old_verify_keys: {} },
    ])
    expect(Number(body.valid_until_ts) - rig.clock.now()).toBe(DAY)
    const keyOf = (keyId: string) => (keyId === 'ed25519:own' ? signingKey.publicKey : undefined)
    expect(checkJsonSignature({ object: body, entity: 'here.test', keyOf })).toEqual({ ok: true })
  })

  it('never publishes what expires within the hour', async () => {
    for (let i = 0; i < 30; i += 1) {
      const { body } = await get('/_matrix/key/v2/server')
      expect(Number(body.valid_until_ts) - rig.clock.now()).toBeGreaterThan(3_600_000)
      rig.clock.advance(3_000_000)
    }
  })

  it.each(['/_matrix/key/v2/server/', '/_matrix/key/v2/server/ed25519:own'])('answers at %s as well', async (path) => {
    expect(await get(path)).toEqual(await get('/_matrix/key/v2/server'))
  })

  it('publishes the keys that it used before, and checks its old events with them', async () => {
    const old = makeSigningKey(Buffer.alloc(32, 40), 'old')
    const expiredTs = rig.clock.now() - DAY
    await startAnew({ oldKeys: [{ keyId: old.keyId, publicKey: old.publicKey, expiredTs }] })
    const { body } = await get('/_matrix/key/v2/server')
    expect(body.old_verify_keys).toEqual({ 'ed25519:old': { key: old.publicKey, expired_ts: expiredTs } })
    expect(await isBelieved(eventOf('here.test', old, expiredTs - 1))).toBe(true)
    expect(await isBelieved(eventOf('here.test', old, expiredTs + 1))).toBe(false)
    expect(await isBelieved(eventOf('here.test', rig.own.signingKey))).toBe(true)
  })

  it('vouches for the signing key with the root key, of which the name of a home without a domain is a hash', async () => {
    const { body } = await get('/_matrix/key/v2/server')
    const root = body['org.hearth.root'] as { key: string; signatures: Record<string, string> }
    const statement = { key: rig.own.signingKey.publicKey, key_id: 'ed25519:own', server_name: 'here.test' }
    expect(isTextSigned(canonicalJson(statement), root.signatures['ed25519:own'] ?? '', root.key)).toBe(true)
  })
})

describe('homes that are named after their root key', () => {
  const root = makeSigningKey(Buffer.alloc(32, 50), 'root')
  const name = selfNameOf(root.publicKey)
  const proof = (by: SigningKey, key: SigningKey, serverName = name): JsonObject => ({
    key: by.publicKey,
    signatures: {
      [key.keyId]: signText(canonicalJson({ key: key.publicKey, key_id: key.keyId, server_name: serverName }), by),
    },
  })

  it('are believed where that key vouches for the one that they sign with', async () => {
    const server = await rig.foreign(name)
    server.document = (own) => ({ ...own, 'org.hearth.root': proof(root, server.key) })
    expect(await isSignedBy(server)).toBe(true)
  })

  const other = makeSigningKey(Buffer.alloc(32, 51), 'root')
  it.each([
    ['there is no root key', () => ({})],
    ['the root key is another one', (key: SigningKey) => ({ 'org.hearth.root': proof(other, key) })],
    [
      'the signature is by another key',
      (key: SigningKey) => ({ 'org.hearth.root': { ...proof(other, key), key: root.publicKey } }),
    ],
    [
      'the signature is for another home',
      (key: SigningKey) => ({ 'org.hearth.root': proof(root, key, 'other.local') }),
    ],
  ])('are not believed where %s', async (_what, more) => {
    const server = await rig.foreign(name)
    server.document = (own) => ({ ...own, ...more(server.key) })
    expect(await isSignedBy(server)).toBe(false)
  })
})

describe('server-server-api §Retrieving server keys', () => {
  it('asks each server itself, at the same time, and once for all its events', async () => {
    const servers = await Promise.all(['a.test', 'b.test', 'c.test'].map((name) => rig.foreign(name)))
    let waiting = 0
    let most = 0
    for (const server of servers) {
      server.document = (own) => {
        waiting += 1
        most = Math.max(most, waiting)
        return own
      }
    }
    const pdus = [...servers, ...servers].map(({ name, key }) => eventOf(name, key))
    const keyOf = await rig.federation.keys.keysFor(pdus, v10)
    for (const pdu of pdus) expect(checkEventSignatures({ pdu, rules: v10, keyOf })).toEqual({ ok: true })
    expect(servers.map(({ asked }) => asked.length)).toEqual([1, 1, 1])
    expect(most).toBe(3)
  })

  it('keeps what it was told over a restart', async () => {
    const server = await rig.foreign('there.test')
    expect(await isSignedBy(server)).toBe(true)
    const { store, own } = rig
    const anew = await createFederation({
      environment: {
        serverName: 'here.test',
        clock: rig.clock,
        random: { number: () => 0, bytes: Buffer.alloc },
        logger: quiet,
      },
      store,
      outbound: { fetch: never, open: never, [Symbol.asyncDispose]: async () => undefined },
      own,
      lookupSrv: never,
      keyServers: [],
    })
    const pdu = eventOf(server.name, server.key)
    expect(checkEventSignatures({ pdu, rules: v10, keyOf: await anew.keys.keysFor([pdu], v10) })).toEqual({ ok: true })
    await anew.outbox[Symbol.asyncDispose]()
  })

  it('believes a key no longer than the server says, and never for more than 7 days, from room version 5 on', async () => {
    const server = await rig.foreign('there.test')
    server.document = (own) => ({ ...own, valid_until_ts: rig.clock.now() + 1_000 * DAY })
    expect(await isSignedBy(server)).toBe(true)
    const later = eventOf('there.test', server.key, rig.clock.now() + 8 * DAY)
    goes(server)
    expect(await isBelieved(later)).toBe(false)
    expect(await isBelieved(eventOf('there.test', server.key, rig.clock.now() + 8 * DAY, v4), v4)).toBe(true)
  })

  it('asks anew where an event is younger than what it knows', async () => {
    const server = await rig.foreign('there.test')
    expect(await isSignedBy(server)).toBe(true)
    rig.clock.advance(2 * DAY)
    expect(await isSignedBy(server)).toBe(true)
    expect(server.asked).toHaveLength(2)
  })

  it('believes an old key for what is older than its end, and for nothing else', async () => {
    const server = await rig.foreign('there.test')
    const old = makeSigningKey(Buffer.alloc(32, 41), 'old')
    const endTs = rig.clock.now() - DAY
    server.document = (own) => ({ ...own, old_verify_keys: { [old.keyId]: { key: old.publicKey, expired_ts: endTs } } })
    expect(await isBelieved(eventOf('there.test', old, endTs - 1))).toBe(true)
    expect(await isBelieved(eventOf('there.test', old, endTs + 1))).toBe(false)
  })

  it('goes on to know a key that a newer document lacks, for events of its time', async () => {
    const server = await rig.foreign('there.test')
    const before = eventOf('there.test', server.key)
    expect(await isBelieved(before)).toBe(true)
    const { key } = server
    server.key = makeSigningKey(Buffer.alloc(32, 42), 'newer')
    rig.clock.advance(2 * DAY)
    expect(await isSignedBy(server)).toBe(true)
    expect(await isBelieved(before)).toBe(true)
    expect(await isBelieved(eventOf('there.test', key))).toBe(false)
  })

  it('takes another key under the same name from the server itself', async () => {
    const server = await rig.foreign('there.test')
    expect(await isSignedBy(server)).toBe(true)
    server.key = makeSigningKey(Buffer.alloc(32, 43), server.key.keyId.slice('ed25519:'.length))
    rig.clock.advance(2 * DAY)
    expect(await isSignedBy(server)).toBe(true)
  })

  const stranger = makeSigningKey(Buffer.alloc(32, 44), 'x')
  it.each([
    ['is not signed', (own: JsonObject) => ({ ...own, signatures: {} })],
    [
      'is signed by another key',
      (own: JsonObject) => ({ ...own, signatures: signJson(own, 'there.test', stranger).signatures as Json }),
    ],
    [
      'is of another server',
      (own: JsonObject, key: SigningKey) => signJson({ ...own, server_name: 'other.test' }, 'there.test', key),
    ],
    ['has no keys', (own: JsonObject) => ({ ...own, verify_keys: {} })],
    ['has thousands of keys', (own: JsonObject) => ({ ...own, verify_keys: many(own.verify_keys as JsonObject) })],
    ['has numbers that are no integers', (own: JsonObject) => ({ ...own, more: [1.5] })],
    ['does not say until when it is good', ({ valid_until_ts: _, ...own }: JsonObject) => own],
    ['is good until a moment that is past', (own: JsonObject) => ({ ...own, valid_until_ts: 1 })],
  ] as [string, (own: JsonObject, key: SigningKey) => JsonObject][])(
    'believes no document that %s',
    async (_what, change) => {
      const server = await rig.foreign('there.test')
      server.document = (own) => change(own, server.key)
      expect(await isSignedBy(server)).toBe(false)
    },
  )

  it('asks a server that does not answer seldom, however many events and requests name it', async () => {
    const server = await rig.foreign('there.test')
    server.document = () => ({})
    for (let i = 0; i < 20; i += 1) expect(await isSignedBy(server)).toBe(false)
    expect(server.asked).toHaveLength(1)
    rig.clock.advance(2_000)
    await isSignedBy(server)
    expect(server.asked).toHaveLength(2)
    rig.clock.advance(10 * 60_000)
    server.document = (own) => own
    expect(await isSignedBy(server)).toBe(true)
  })

  it('does not ask again for each key that a server never had', async () => {
    const server = await rig.foreign('there.test')
    expect(await isSignedBy(server)).toBe(true)
    for (let i = 0; i < 20; i += 1) {
      expect(await isBelieved(eventOf('there.test', makeSigningKey(Buffer.alloc(32, i), `no${i}`)))).toBe(false)
    }
    expect(server.asked).toHaveLength(1)
  })

  it('goes on without the keys of servers that hang, after half a minute', async () => {
    const [silent, prompt] = [await rig.foreign('silent.test'), await rig.foreign('prompt.test')]
    let isAsked: () => void = () => undefined
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve
    })
    const hanging = createServer(() => isAsked())
    await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve))
    rig.srv.set('_matrix-fed._tcp.silent.test', [
      { name: 'silent.test', port: (hanging.address() as AddressInfo).port, priority: 1, weight: 1 },
    ])
    const pdus = [silent, prompt].map(({ name, key }) => eventOf(name, key))
    const lookup = rig.federation.keys.keysFor(pdus, v10)
    await asked
    while (prompt.asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
    // The prompt one's document is stored a few turns of the loop after it was sent.
    while (!(await rig.store.home.get(serverKeys, 'prompt.test'))) await new Promise((resolve) => setImmediate(resolve))
    rig.clock.advance(30_000)
    const keyOf = await lookup
    hanging.close()
    expect(pdus.map((pdu) => checkEventSignatures({ pdu, rules: v10, keyOf }).ok)).toEqual([false, true])
  })

  it('is done at once where the server stops, and asks nobody from then on', async () => {
    const silent = await rig.foreign('silent.test')
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    silent.answerKeys = () => resolve()
    const pdu = eventOf('silent.test', silent.key)
    const lookup = isBelieved(pdu)
    await asked
    rig.federation[Symbol.dispose]()
    expect(await lookup).toBe(false)
    const other = await rig.foreign('other.test')
    expect(await isSignedBy(other)).toBe(false)
    expect(other.asked).toEqual([])
  })

  it('asks nobody about an event without a signature', async () => {
    const server = await rig.foreign('there.test')
    expect(await isBelieved({ ...eventOf('there.test', server.key), signatures: {} })).toBe(false)
    expect(server.asked).toEqual([])
  })
})

describe('server-server-api §Querying Keys Through Another Server', () => {
  const signers = (document: JsonObject | undefined) => Object.keys(document?.signatures ?? {}).sort()

  it('gives the keys of another server, with its signature and ours', async () => {
    const server = await rig.foreign('there.test')
    const { body } = await get('/_matrix/key/v2/query/there.test')
    const [document] = body.server_keys as JsonObject[]
    expect(document).toMatchObject({ server_name: 'there.test', verify_keys: { [server.key.keyId]: {} } })
    expect(signers(document)).toEqual(['here.test', 'there.test'])
    const keyOf = () => rig.own.signingKey.publicKey
    expect(checkJsonSignature({ object: document ?? {}, entity: 'here.test', keyOf })).toEqual({ ok: true })
    expect(await get(`/_matrix/key/v2/query/there.test/${server.key.keyId}`)).toEqual({ status: 200, body })
  })

  it('gives those of several, of this server too, and leaves out who cannot be reached', async () => {
    await rig.foreign('a.test')
    await rig.foreign('b.test')
    const documents = await query({ 'a.test': {}, 'b.test': { 'ed25519:x': {} }, 'here.test': {}, 'gone.test': {} })
    expect(documents.map(({ server_name }) => server_name)).toEqual(['a.test', 'b.test', 'here.test'])
    expect(await query({})).toEqual([])
    expect(await get('/_matrix/key/v2/query/gone.test')).toEqual({ status: 200, body: { server_keys: [] } })
    expect(await get('/_matrix/key/v2/query/no%20name')).toEqual({ status: 200, body: { server_keys: [] } })
  })

  it('gives what it has of a server that is gone, however old', async () => {
    const server = await rig.foreign('there.test')
    await get('/_matrix/key/v2/query/there.test')
    goes(server)
    rig.clock.advance(30 * DAY)
    expect((await get('/_matrix/key/v2/query/there.test')).body.server_keys).toHaveLength(1)
  })

  it('asks again only where what it has is not good for long enough', async () => {
    const server = await rig.foreign('there.test')
    const until = (ts: number) => get(`/_matrix/key/v2/query/there.test?minimum_valid_until_ts=${ts}`)
    await until(rig.clock.now())
    rig.clock.advance(3_600_000)
    await until(rig.clock.now())
    expect(server.asked).toHaveLength(1)
    await until(rig.clock.now() + 23.5 * 3_600_000)
    expect(server.asked).toHaveLength(2)
  })

  it('asks no more than a few servers for one query, and answers no endless one', async () => {
    const servers = await Promise.all(Array.from({ length: 12 }, (_, i) => rig.foreign(`s${i}.test`)))
    await query(Object.fromEntries(servers.map(({ name }) => [name, {}])))
    expect(servers.filter(({ asked }) => asked.length > 0)).toHaveLength(10)
    const endless = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`n${i}.test`, {}]))
    const response = await fetch(`${rig.url}/_matrix/key/v2/query`, {
      method: 'POST',
      body: JSON.stringify({ server_keys: endless }),
    })
    expect([response.status, await response.json()]).toMatchObject([400, { errcode: 'M_BAD_JSON' }])
  })

  describe('where a server is gone', () => {
    let gone: ForeignServer
    let notary: ForeignServer
    const gives =
      (documents: readonly Json[]): ForeignServer['answer'] =>
      (_asked, response) =>
        sendJson(response, 200, { server_keys: documents })
    const documentOf = (server: ForeignServer, key = server.key): JsonObject =>
      signJson(
        {
          server_name: server.name,
          verify_keys: { [key.keyId]: { key: key.publicKey } },
          valid_until_ts: rig.clock.now() + DAY,
        },
        server.name,
        key,
      )
    beforeEach(async () => {
      await startAnew({ keyServers: ['notary.test'] })
      gone = await rig.foreign('gone.test')
      notary = await rig.foreign('notary.test')
      goes(gone)
    })

    it("asks the owner's key servers, whose signature must be on what they give", async () => {
      notary.answer = gives([signJson(documentOf(gone), 'notary.test', notary.key)])
      expect(await isSignedBy(gone)).toBe(true)
      expect(JSON.parse(notary.asked.at(-1)?.body ?? '')).toEqual({
        server_keys: { 'gone.test': { [gone.key.keyId]: {} } },
      })
    })

    it.each([
      ['without their signature', () => documentOf(gone)],
      ['of a server that was not asked for', () => signJson(documentOf(notary), 'notary.test', notary.key)],
      [
        'that the server did not sign',
        () => signJson({ ...documentOf(gone), signatures: {} }, 'notary.test', notary.key),
      ],
    ])('believes nothing of theirs %s', async (_what, document) => {
      notary.answer = gives([document()])
      expect(await isSignedBy(gone)).toBe(false)
    })

    it('takes the word of whoever it is told to trust, for these events alone', async () => {
      const voucher = await rig.foreign('voucher.test')
      voucher.answer = gives([documentOf(gone)])
      const pdu = eventOf('gone.test', gone.key)
      expect(await isBelieved(pdu)).toBe(false)
      expect(await isBelieved(pdu, v10, ['voucher.test'])).toBe(true)
      rig.clock.advance(60_000)
      expect(await isBelieved(pdu)).toBe(false)
    })

    it('never takes back what the server said itself on the word of another', async () => {
      const server = await rig.foreign('there.test')
      expect(await isSignedBy(server)).toBe(true)
      const thief = makeSigningKey(Buffer.alloc(32, 60), server.key.keyId.slice('ed25519:'.length))
      notary.answer = gives([signJson(documentOf(server, thief), 'notary.test', notary.key)])
      const voucher = await rig.foreign('voucher.test')
      voucher.answer = gives([documentOf(server, thief)])
      goes(server)
      expect(await isBelieved(eventOf('there.test', thief), v10, ['voucher.test'])).toBe(false)
      expect(await isBelieved(eventOf('there.test', server.key), v10, ['voucher.test'])).toBe(true)
    })

    it('never adds a key to what the server said itself on the word of a voucher, nor one to ours', async () => {
      const server = await rig.foreign('there.test')
      const thief = makeSigningKey(Buffer.alloc(32, 61), 'added')
      const voucher = await rig.foreign('voucher.test')
      voucher.answer = gives([documentOf(server, thief), { ...documentOf(server, thief), server_name: 'here.test' }])
      expect(await isBelieved(eventOf('there.test', thief), v10, ['voucher.test'])).toBe(false)
      expect(await isBelieved(eventOf('here.test', thief), v10, ['voucher.test'])).toBe(false)
      goes(server)
      rig.clock.advance(60 * DAY)
      expect(await isBelieved(eventOf('there.test', thief), v10, ['voucher.test'])).toBe(false)
    })
  })
})

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

function never(): never {
  throw new Error('nobody is to be asked')
}

function many(keys: JsonObject): JsonObject {
  const key = Object.values(keys)[0] as Json
  return { ...keys, ...Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`ed25519:k${i}`, key])) }
}
