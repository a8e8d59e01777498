import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from '../support/test-server.ts'

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
