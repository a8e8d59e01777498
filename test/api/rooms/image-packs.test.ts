import { describe, expect, it } from 'vitest'
import { getState, newRoom, setState } from '../../support/room-calls.ts'
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
})
