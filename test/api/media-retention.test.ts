import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { keptStore } from '../support/kept-store.ts'
import { type ManualClock, manualClock } from '../support/manual-clock.ts'
import { join, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const e = encodeURIComponent
const V3 = '/_matrix/client/v3'
const SETTINGS = '/_hearth/client/v1/media_retention'
const HOUR = 3_600_000
const DAY = 24 * HOUR
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }

let clock: ManualClock
let server: TestServer
let admin: Person
let alice: Person
let bob: Person
beforeAll(async () => {
  clock = manualClock()
  server = await startTestServer({ clock, openStore: keptStore() })
  admin = await registerAdmin(server, 'admin')
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

async function upload(by: Person, text: string): Promise<string> {
  const response = await by.api.fetch('/_matrix/media/v3/upload', { method: 'POST', body: text })
  return ((await response.json()) as { content_uri: string }).content_uri
}
async function statusOf(uri: string): Promise<number> {
  const response = await alice.api.fetch(`/_matrix/client/v1/media/download/${uri.slice('mxc://'.length)}`)
  await response.arrayBuffer()
  return response.status
}
const picture = (url: string) => ({ type: 'm.room.message', content: { msgtype: 'm.image', body: 'a picture', url } })
const newRoomFor = (...people: Person[]): Promise<string> =>
  newRoom(alice, { preset: 'public_chat', invite: people.map(({ userId }) => userId) })
const redact = (by: Person, roomId: string, eventId: string) =>
  by.api.put(roomPath(roomId, `/redact/${e(eventId)}/${eventId.slice(1, 9)}`), {})

/** The purge of messages has come, and then that of files. */
async function hoursLater(hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour += 1) {
    clock.advance(HOUR)
    // Rounds begin anew once the last has ended, which is real time.
    await admin.api.get(SETTINGS)
    await expect.poll(async () => (await admin.api.get(SETTINGS)).status).toBe(200)
  }
}
async function goes(uri: string): Promise<void> {
  await expect
    .poll(
      async () => {
        clock.advance(HOUR)
        return statusOf(uri)
      },
      { timeout: 10_000 },
    )
    .toBe(404)
}

describe('files of messages that are gone', () => {
  it('go with messages whose time is over, those that something else names stay', async () => {
    const [single, twice, shown, ofBob] = await Promise.all([
      upload(alice, 'single'),
      upload(alice, 'twice'),
      upload(alice, 'shown'),
      upload(bob, 'of bob'),
    ])
    const [lasting, passing] = [await newRoomFor(bob), await newRoomFor(bob)]
    for (const uri of [single, twice, shown, ofBob]) await send(alice, passing, picture(uri))
    await send(alice, lasting, picture(twice))
    await alice.api.put(`${V3}/profile/${alice.userId}/avatar_url`, { avatar_url: shown })
    await setState(alice, passing, 'm.room.retention', { max_lifetime: 1 })
    await goes(single)
    await hoursLater(3)
    expect(await statusOf(twice)).toBe(200)
    expect(await statusOf(shown)).toBe(200)
    // Alice could name any file of others.
    expect(await statusOf(ofBob)).toBe(200)
  })

  it('go with a redaction, not with one of several, and not by what others send', async () => {
    const uri = await upload(alice, 'redacted')
    const roomId = await newRoomFor(bob)
    await join(bob, roomId)
    const first = await send(alice, roomId, picture(uri))
    const second = await send(alice, roomId, {
      type: 'm.room.message',
      content: {
        msgtype: 'm.text',
        body: 'look',
        format: 'org.matrix.custom.html',
        formatted_body: `<img src="${uri}">`,
      },
    })
    await redact(alice, roomId, first)
    await hoursLater(3)
    expect(await statusOf(uri)).toBe(200)
    const stolen = await upload(alice, 'in an encrypted room')
    const byBob = await send(bob, roomId, picture(stolen))
    await redact(bob, roomId, byBob)
    await redact(alice, roomId, second)
    await goes(uri)
    expect(await statusOf(stolen)).toBe(200)
  })

  it('stay where they are sent anew at once', async () => {
    const uri = await upload(alice, 'again')
    const roomId = await newRoomFor()
    await redact(alice, roomId, await send(alice, roomId, picture(uri)))
    await send(alice, roomId, picture(uri))
    await hoursLater(4)
    expect(await statusOf(uri)).toBe(200)
  })
})

describe('how long the home keeps files', () => {
  it('is for administrators to say', async () => {
    expect((await admin.api.get(SETTINGS)).body).toEqual({ unreferenced_lifetime: null, remote_lifetime: 30 * DAY })
    expect(await alice.api.get(SETTINGS)).toMatchObject(forbidden)
    expect(await alice.api.put(SETTINGS, { unreferenced_lifetime: DAY, remote_lifetime: DAY })).toMatchObject(forbidden)
    const short = await admin.api.put(SETTINGS, { unreferenced_lifetime: 1, remote_lifetime: DAY })
    expect(short).toMatchObject({ status: 400 })
  })

  it('ends uploads that nothing names which the server can read, and no others', async () => {
    const [unnamed, avatar, sent] = await Promise.all([
      upload(alice, 'of an encrypted room'),
      upload(bob, 'avatar'),
      upload(alice, 'sent'),
    ])
    await bob.api.put(`${V3}/profile/${bob.userId}/avatar_url`, { avatar_url: avatar })
    const roomId = await newRoomFor()
    await send(alice, roomId, picture(sent))
    const emote = await upload(alice, 'emote')
    await alice.api.put(`${V3}/user/${alice.userId}/account_data/im.emotes`, { images: { x: { url: emote } } })
    await hoursLater(30)
    expect(await statusOf(unnamed)).toBe(200)
    const wish = { unreferenced_lifetime: DAY, remote_lifetime: 2 * DAY }
    expect((await admin.api.put(SETTINGS, wish)).status).toBe(200)
    expect((await admin.api.get(SETTINGS)).body).toEqual(wish)
    await goes(unnamed)
    const fresh = await upload(alice, 'fresh')
    await hoursLater(2)
    for (const uri of [avatar, sent, emote, fresh]) expect(await statusOf(uri)).toBe(200)
  })
})

describe('client-server-api §POST /account/deactivate, erase', () => {
  const deactivate = (name: string, by: Person, erase: boolean) =>
    by.api.post(`${V3}/account/deactivate`, {
      erase,
      auth: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: name },
        password: `password of ${name}`,
      },
    })

  it('takes what the user uploaded along', async () => {
    const carol = await server.register('carol')
    const uri = await upload(carol, 'of carol')
    expect((await deactivate('carol', carol, true)).status).toBe(200)
    await expect.poll(() => statusOf(uri)).toBe(404)
  })

  it('leaves it where the user does not ask for that', async () => {
    const dave = await server.register('dave')
    const uri = await upload(dave, 'of dave')
    const roomId = await newRoom(dave, { preset: 'public_chat' })
    await join(alice, roomId)
    await send(dave, roomId, picture(uri))
    expect((await deactivate('dave', dave, false)).status).toBe(200)
    await expect
      .poll(async () => (await alice.api.get(roomPath(roomId, `/state/m.room.member/${dave.userId}`))).body.membership)
      .toBe('leave')
    expect(await statusOf(uri)).toBe(200)
  })
})
