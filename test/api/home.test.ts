import { describe, expect, it } from 'vitest'
import { keptStore } from '../support/kept-store.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const HOME = '/_hearth/client/v1/home'
const closed = { config: { registration: {} } }
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }

const claimBy = (server: TestServer, wish: object = {}) =>
  server.api().post(`${HOME}/claim`, {
    name: 'The Burrow',
    username: 'molly',
    password: 'knitting needles',
    claim_code: server.claimCode() ?? 'there is none',
    initial_device_display_name: 'Kitchen',
    ...wish,
  })

describe('household: claiming a home', () => {
  it('makes the first account an administrator, names the home, and answers as /register does', async () => {
    await using server = await startTestServer(closed)
    expect((await server.api().get(HOME)).body).toEqual({
      name: null,
      claimed: false,
      registration: 'closed',
      server_name: 'hearth.test',
    })
    const { status, body } = await claimBy(server)
    expect(status).toBe(200)
    expect(body).toEqual({
      user_id: '@molly:hearth.test',
      access_token: expect.any(String),
      device_id: expect.any(String),
      home_server: 'hearth.test',
    })
    expect((await server.api().get(HOME)).body).toMatchObject({ name: 'The Burrow', claimed: true })
    const molly = server.api(body.access_token as string)
    expect(await molly.put(HOME, { name: '  Shell Cottage ' })).toMatchObject({ status: 200, body: {} })
    expect((await server.api().get(HOME)).body).toMatchObject({ name: 'Shell Cottage' })
    expect(server.claimCode()).toBeNull()
  })

  it('wants the code, also from this machine, however it is typed', async () => {
    await using server = await startTestServer(closed)
    const code = server.claimCode() ?? ''
    expect(code).toMatch(/^[A-Z2-9]{4}(-[A-Z2-9]{4}){3}$/)
    for (const wrong of ['', 'AAAA-AAAA-AAAA-AAAA', `${code}A`, code.slice(0, -1)]) {
      expect(await claimBy(server, { claim_code: wrong })).toMatchObject(forbidden)
    }
    expect((await server.api().get(HOME)).body).toMatchObject({ name: null, claimed: false })
    expect((await claimBy(server, { claim_code: ` ${code.toLowerCase().replaceAll('-', ' ')} ` })).status).toBe(200)
  })

  it.each([
    ['M_INVALID_PARAM', { name: '   ' }],
    ['M_INVALID_PARAM', { name: 'x'.repeat(101) }],
    ['M_INVALID_USERNAME', { username: 'not a name' }],
    ['M_WEAK_PASSWORD', { password: 'short' }],
    ['M_BAD_JSON', { name: 5 }],
  ])('answers %s to %j and stays unclaimed', async (errcode, wish) => {
    await using server = await startTestServer(closed)
    expect(await claimBy(server, wish)).toMatchObject({ status: 400, body: { errcode } })
    expect((await server.api().get(HOME)).body).toMatchObject({ name: null, claimed: false })
    expect((await claimBy(server)).status).toBe(200)
  })

  it('goes to one of several who claim at the same time', async () => {
    await using server = await startTestServer(closed)
    const replies = await Promise.all(
      ['ron', 'ginny', 'fred'].map((username) => claimBy(server, { username, name: username })),
    )
    expect(replies.map((reply) => reply.status).sort()).toEqual([200, 403, 403])
    const winner = replies.find((reply) => reply.status === 200)
    expect((await server.api().get(HOME)).body).toMatchObject({ name: String(winner?.body.user_id).slice(1, -12) })
  })

  it('goes on after a restart with the same code, so that a link with it stays good', async () => {
    const openStore = keptStore()
    let code: string | null
    {
      await using server = await startTestServer({ ...closed, openStore })
      code = server.claimCode()
    }
    expect(code).toMatch(/\S/)
    await using server = await startTestServer({ ...closed, openStore })
    expect(server.claimCode()).toBe(code)
    expect((await claimBy(server, { claim_code: code })).status).toBe(200)
  })

  it('is over once there is an account, however that was made, and after a restart', async () => {
    await using open = await startTestServer()
    const code = open.claimCode()
    await open.register('arthur')
    expect(await claimBy(open, { claim_code: code })).toMatchObject(forbidden)

    const openStore = keptStore()
    const first = await startTestServer({ ...closed, openStore })
    await claimBy(first)
    await first[Symbol.asyncDispose]()
    await using second = await startTestServer({ ...closed, openStore })
    expect(second.claimCode()).toBeNull()
    expect(await claimBy(second)).toMatchObject(forbidden)
    expect((await second.api().get(HOME)).body).toMatchObject({ name: 'The Burrow', claimed: true })
  })

  it('lets only administrators name the home', async () => {
    await using server = await startTestServer()
    const bill = await server.register('bill')
    expect(await bill.api.put(HOME, { name: 'Mine' })).toMatchObject(forbidden)
    expect((await server.api().put(HOME, { name: 'Mine' })).status).toBe(401)
  })
})
