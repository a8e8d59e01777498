import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import type { Api } from '../support/api.ts'
import { type ForeignServer, startForeignServer } from '../support/foreign-server.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

const PATH = '/_hearth/client/v1/federation/blocked_servers'
let homes: Homes
let home: Home
let other: ForeignServer
let admin: Person
let owner: Api

beforeEach(async () => {
  homes = await startHomes(['alpha.test'])
  home = homes.get('alpha.test')
  other = await startForeignServer({ ca: homes.ca, name: 'evil.test' })
  homes.names.set('evil.test', { port: other.port })
  admin = await registerAdmin(home, 'owner')
  owner = admin.api
})
afterEach(async () => {
  await other[Symbol.asyncDispose]()
  await homes[Symbol.asyncDispose]()
})

async function asks(uri: string, method = 'GET', content?: { [key: string]: never[] | string | number }) {
  const request = { method, uri, destination: 'alpha.test', ...(content && { content }) }
  return homes.call(home, uri, {
    method,
    headers: { authorization: other.authorization(request) },
    ...(content && { body: JSON.stringify(content) }),
  })
}
const PROFILE = '/_matrix/federation/v1/query/profile?user_id=@owner:alpha.test'
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }

describe('servers that a home has nothing to do with', () => {
  it('are refused before anything else is looked at, and answered again once they are not blocked any more', async () => {
    expect((await asks(PROFILE)).status).toBe(200)
    expect((await owner.put(`${PATH}/EVIL.test`, { reason: 'spam' })).status).toBe(200)
    const before = other.asked.length
    expect(await asks(PROFILE)).toMatchObject(forbidden)
    expect(
      await asks('/_matrix/federation/v1/send/1', 'PUT', { pdus: [], origin: 'evil.test', origin_server_ts: 1 }),
    ).toMatchObject(forbidden)
    expect(other.asked).toHaveLength(before)
    expect((await owner.delete(`${PATH}/evil.test`)).status).toBe(200)
    expect((await asks(PROFILE)).status).toBe(200)
  })

  it('are not asked for anything', async () => {
    await owner.put(`${PATH}/evil.test`)
    const { status } = await owner.get('/_matrix/client/v3/directory/room/%23room%3Aevil.test')
    expect(status).not.toBe(200)
    expect((await owner.post('/_matrix/client/v3/join/!room:evil.test?via=evil.test')).status).not.toBe(200)
    expect(other.asked).toEqual([])
  })

  it('are listed with why and by whom, and are blocked still after a restart', async () => {
    await owner.put(`${PATH}/evil.test`, { reason: 'spam' })
    const { body } = await owner.get(PATH)
    expect(body).toEqual({
      servers: [
        { pattern: 'evil.test', reason: 'spam', blocked_by: '@owner:alpha.test', created_ts: expect.any(Number) },
      ],
    })
    await home.restart()
    expect(await asks(PROFILE)).toMatchObject(forbidden)
  })

  it('may be named by a pattern; the port does not count', async () => {
    const patterns = ['*.evil.test', 'evi?.test', '[::1]', '10.*']
    for (const pattern of patterns) {
      expect((await owner.put(`${PATH}/${encodeURIComponent(pattern)}`)).status).toBe(200)
    }
    expect(await asks(PROFILE)).toMatchObject(forbidden)
    const bad = ['alpha.test', '*', '*.test', 'a b', 'https://evil.test', 'x'.repeat(300)]
    for (const pattern of bad) {
      const answer = await owner.put(`${PATH}/${encodeURIComponent(pattern)}`)
      expect(answer).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    }
    expect((await owner.get<{ servers: unknown[] }>(PATH)).body.servers).toHaveLength(patterns.length)
  })

  it('are the business of administrators alone', async () => {
    const { api } = await home.register('child')
    expect(await api.get(PATH)).toMatchObject(forbidden)
    expect(await api.put(`${PATH}/evil.test`)).toMatchObject(forbidden)
    expect(await api.delete(`${PATH}/evil.test`)).toMatchObject(forbidden)
    expect(await owner.delete(`${PATH}/evil.test`)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
  })

  it('cannot have others pass on what their users said', async () => {
    const friend = await startForeignServer({ ca: homes.ca, name: 'friend.test' })
    homes.names.set('friend.test', { port: friend.port })
    const roomId = await newRoom(admin)
    await owner.put(`${PATH}/evil.test`)
    const pdu = { room_id: roomId, sender: '@x:evil.test', type: 'm.room.message', content: {} }
    const content = { pdus: [pdu], origin: 'friend.test', origin_server_ts: 1 }
    const request = { method: 'PUT', uri: '/_matrix/federation/v1/send/1', destination: 'alpha.test', content }
    const headers = { authorization: friend.authorization(request) }
    const answer = await homes.call(home, request.uri, { method: 'PUT', headers, body: JSON.stringify(content) })
    await friend[Symbol.asyncDispose]()
    expect(answer).toMatchObject({ status: 200, body: { pdus: {} } })
    expect(Object.keys((answer.body as { pdus: object }).pdus)).toEqual([])
  })
})
