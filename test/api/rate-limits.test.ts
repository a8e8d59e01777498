import { describe, expect, it } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const limited = { rate_limits: { enabled: true } }

/** @returns the statuses of so many answers, one after the other */
async function repeat(times: number, call: (i: number) => Promise<{ status: number }>): Promise<readonly number[]> {
  const statuses: number[] = []
  for (let i = 0; i < times; i += 1) statuses.push((await call(i)).status)
  return statuses
}

const logIn = (server: TestServer, user: string, password = 'wrong') =>
  server.api().post('/_matrix/client/v3/login', {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
  })

async function roomOf(person: Person): Promise<string> {
  const { body } = await person.api.post<{ room_id: string }>('/_matrix/client/v3/createRoom', {})
  return `/_matrix/client/v3/rooms/${encodeURIComponent(body.room_id)}`
}

describe('client-server-api §Rate limiting', () => {
  it('stops who guesses a password, and lets the owner in when the time named is over', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock, config: limited })
    await server.register('alice')
    expect(new Set(await repeat(10, () => logIn(server, 'alice')))).toEqual(new Set([403]))
    const { status, body, headers } = await logIn(server, 'alice', 'password of alice')
    expect([status, body.errcode]).toEqual([429, 'M_LIMIT_EXCEEDED'])
    const waitMs = Number(body.retry_after_ms)
    expect(headers.get('retry-after')).toBe(String(Math.ceil(waitMs / 1000)))
    clock.advance(waitMs)
    expect((await logIn(server, 'alice', 'password of alice')).status).toBe(200)
  })

  it('stops who makes accounts by the dozen', async () => {
    await using server = await startTestServer({ clock: manualClock(), config: limited })
    const statuses = await repeat(40, (i) =>
      server.api().post('/_matrix/client/v3/register', {
        username: `name${i}`,
        password: 'a long password',
        auth: { type: 'm.login.dummy' },
      }),
    )
    expect(statuses[0]).toBe(200)
    expect(statuses).toContain(429)
  })

  it('stops who guesses registration tokens', async () => {
    await using server = await startTestServer({ clock: manualClock(), config: limited })
    const path = '/_matrix/client/v1/register/m.login.registration_token/validity'
    expect(await server.api().get(path, { token: 'guess' })).toMatchObject({ status: 200, body: { valid: false } })
    const statuses = await repeat(30, (i) => server.api().get(path, { token: `guess${i}` }))
    expect(statuses.at(-1)).toBe(429)
  })

  it('stops who floods a room, and nobody else in it', async () => {
    await using server = await startTestServer({ clock: manualClock(), config: limited })
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const [room, other] = [await roomOf(alice), await roomOf(bob)]
    const say = (person: Person, path: string, i: number) =>
      person.api.put(`${path}/send/m.room.message/${i}`, { msgtype: 'm.text', body: String(i) })
    const statuses = await repeat(150, (i) => say(alice, room, i))
    expect(statuses.slice(0, 50).every((status) => status === 200)).toBe(true)
    expect(statuses.at(-1)).toBe(429)
    expect((await say(bob, other, 0)).status).toBe(200)
  })

  it('lifts every limit where the configuration says so', async () => {
    await using server = await startTestServer({ clock: manualClock() })
    await server.register('alice')
    expect(new Set(await repeat(40, () => logIn(server, 'alice')))).toEqual(new Set([403]))
  })
})
