import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keptStore } from '../support/kept-store.ts'
import { bodies, getState, history, join, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const DEACTIVATE = '/_matrix/client/v3/account/deactivate'
let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const proof = (user: string) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password: `password of ${user}`,
})

describe('client-server-api §POST /account/deactivate', () => {
  it('ends all sessions and every way to log in, and frees nothing', async () => {
    const ann = await server.register('ann')
    const other = await server.login('ann')
    await ann.api.put(`/_matrix/client/v3/profile/${ann.userId}/displayname`, { displayname: 'Ann' })
    const asked = await ann.api.post(DEACTIVATE, {})
    expect(asked.status).toBe(401)
    const done = await ann.api.post(DEACTIVATE, { auth: { ...proof('ann'), session: asked.body.session } })
    expect(done).toMatchObject({ status: 200, body: { id_server_unbind_result: 'success' } })

    for (const person of [ann, other]) {
      expect(await person.api.get('/_matrix/client/v3/account/whoami')).toMatchObject({
        status: 401,
        body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: false },
      })
    }
    expect(await server.api().post('/_matrix/client/v3/login', proof('ann'))).toMatchObject({ status: 403 })
    expect(await server.api().get(`/_matrix/client/v3/profile/${ann.userId}`)).toMatchObject({ status: 404 })
    expect(await server.api().get('/_matrix/client/v3/register/available', { username: 'ann' })).toMatchObject({
      body: { errcode: 'M_USER_IN_USE' },
    })
    expect(server.complaints).toEqual([])
  })

  it('works without a token for whoever knows the password', async () => {
    const ben = await server.register('ben')
    expect((await server.api().post(DEACTIVATE, { auth: proof('ben') })).status).toBe(200)
    expect((await ben.api.get('/_matrix/client/v3/account/whoami')).status).toBe(401)
  })

  it('leaves the account as it is without the password', async () => {
    const cid = await server.register('cid')
    await server.register('dan')
    expect((await cid.api.post(DEACTIVATE, { auth: { type: 'm.login.dummy' } })).status).toBe(401)
    expect((await cid.api.post(DEACTIVATE, { auth: proof('dan') })).status).toBe(403)
    expect((await cid.api.get('/_matrix/client/v3/account/whoami')).status).toBe(200)
  })
})

describe('client-server-api §POST /account/deactivate, erase', () => {
  it('shows messages to those who were there, and redacted copies to whoever comes later, also after a restart', async () => {
    const openStore = keptStore()
    let home = await startTestServer({ openStore })
    const [erin, friend, later] = [
      await home.register('erin'),
      await home.register('friend'),
      await home.register('later'),
    ]
    const roomId = await newRoom(erin, { preset: 'public_chat' })
    await join(friend, roomId)
    const eventId = await send(erin, roomId, 'a secret of erin')
    await erin.api.put(roomPath(roomId, `/send/m.room.message/edit`), {
      msgtype: 'm.text',
      body: '* edited secret',
      'm.new_content': { msgtype: 'm.text', body: 'edited secret' },
      'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
    })
    await setState(erin, roomId, 'm.room.topic', { topic: 'a topic that stays' })
    await send(friend, roomId, 'of the friend')
    const done = await erin.api.post(DEACTIVATE, { auth: proof('erin'), erase: true })
    expect(done.status).toBe(200)
    await join(later, roomId)
    for (let round = 0; round < 2; round += 1) {
      const [friendNow, laterNow] = [friend, later].map(({ accessToken, ...rest }) => ({
        ...rest,
        accessToken,
        api: home.api(accessToken),
      })) as [Person, Person]
      expect(JSON.stringify(await history(friendNow, roomId))).toContain('edited secret')
      const shown = await history(laterNow, roomId)
      expect(JSON.stringify(shown)).not.toContain('secret')
      expect(await bodies(laterNow, roomId)).toContain('of the friend')
      expect(shown.find((event) => event.event_id === eventId)).toMatchObject({ sender: erin.userId, content: {} })
      expect((await getState(laterNow, roomId, 'm.room.topic')).body).toEqual({ topic: 'a topic that stays' })
      const direct = await laterNow.api.get(roomPath(roomId, `/event/${encodeURIComponent(eventId)}`))
      expect(direct.body).toMatchObject({ content: {} })
      expect(JSON.stringify((await laterNow.api.get('/_matrix/client/v3/sync')).body)).not.toContain('secret')
      await home[Symbol.asyncDispose]()
      home = await startTestServer({ openStore })
    }
    await home[Symbol.asyncDispose]()
  })
})
