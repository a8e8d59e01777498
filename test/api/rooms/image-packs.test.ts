import { describe, expect, it } from 'vitest'
import { peersOf, remoteKey, remoteServer } from '../../support/remote-server.ts'
import { getState, newRoom, setState } from '../../support/room-calls.ts'
import { startTestRooms } from '../../support/test-rooms.ts'
import { startTestServer } from '../../support/test-server.ts'

const PACK = {
  pack: { display_name: 'Cats', usage: ['sticker'] },
  images: { cat: { url: 'mxc://hearth.test/cat', body: 'a cat', info: { w: 128, h: 128 } } },
}

describe('client-server-api §Image packs', () => {
  it('keeps packs of rooms and users as they are, under any state key', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await newRoom(alice)
    for (const key of ['', 'cats']) {
      expect((await setState(alice, roomId, 'm.room.image_pack', PACK, key)).status).toBe(200)
      expect((await getState(alice, roomId, 'm.room.image_pack', key)).body).toEqual(PACK)
    }
    const used = { rooms: { [roomId]: { cats: {} } } }
    for (const [type, content] of Object.entries({ 'm.image_pack': PACK, 'm.image_pack.rooms': used })) {
      const path = `/_matrix/client/v3/user/${encodeURIComponent(alice.userId)}/account_data/${type}`
      expect((await alice.api.put(path, content)).status).toBe(200)
      expect((await alice.api.get(path)).body).toEqual(content)
    }
  })

  it('refuses no pack for a malformed shortcode, whether one of ours sends it or another server', async () => {
    const malformed = { images: { 'no spaces ♥': { url: 'mxc://a/b' }, ['x'.repeat(101)]: { url: 'mxc://a/c' } } }
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await newRoom(alice)
    expect((await setState(alice, roomId, 'm.room.image_pack', malformed)).status).toBe(200)
    expect((await getState(alice, roomId, 'm.room.image_pack')).body).toEqual(malformed)

    const key = remoteKey(3)
    await using own = await startTestRooms({ peers: peersOf([{ name: 'remote.test', key }]) })
    const [user, remote] = [own.user('alice'), remoteServer(own.rooms, 'remote.test', key)]
    const shared = await own.rooms.createRoom({
      creator: user.userId,
      preset: 'public_chat',
      power_level_content_override: { state_default: 0 },
    })
    using view = await own.rooms.open(shared)
    const [newest] = await view.timeline({ limit: 1, direction: 'backward' })
    const eve = remote.user('eve')
    const joined = await remote.join(shared, eve, [newest?.eventId ?? ''])
    const type = 'm.room.image_pack'
    const sent = await remote.send({
      roomId: shared,
      sender: eve,
      type,
      stateKey: 'theirs',
      content: malformed,
      on: [joined],
    })
    expect(sent.reception.outcome).toBe('accepted')
    const shown = await own.rooms.readStateEvent(
      { roomId: shared, ...user },
      { type, stateKey: 'theirs', format: 'content' },
    )
    expect(JSON.parse(shown)).toEqual(malformed)
  })
})
