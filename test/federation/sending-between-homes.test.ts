import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../server/index.ts'
import type { Clock } from '../../server/observe/environment.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom, roomPath, send } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

type Three = Homes & { readonly 0: Home; readonly 1: Home; readonly 2: Home }
let homes: Three
/** Homes' clocks are ahead of the machine's by so much. */
let aheadMs = 0
const clock: Clock = { now: () => systemClock.now() + aheadMs, after: systemClock.after }
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test', 'gamma.test'], { clock })
})
afterAll(() => homes[Symbol.asyncDispose]())

/** A person whose home may have been restarted since. */
const now = (home: Home, person: Person): Person => ({ ...person, api: home.api(person.accessToken) })

async function join(person: Person, roomId: string): Promise<void> {
  const path = `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`
  const reply = await person.api.post(path, {}, { via: ['alpha.test'] })
  expect(reply).toMatchObject({ status: 200 })
}

/** Bodies of all messages that somebody sees, oldest first. */
async function seenBy(person: Person, roomId: string): Promise<readonly unknown[]> {
  const query = { dir: 'b', limit: 200, filter: JSON.stringify({ types: ['m.room.message'] }) }
  const { body } = await person.api.get<{ chunk: { content: { body: unknown } }[] }>(
    roomPath(roomId, '/messages'),
    query,
  )
  return body.chunk.map(({ content }) => content.body).reverse()
}

const sees = (person: Person, roomId: string, bodies: readonly string[]) =>
  expect.poll(() => seenBy(person, roomId), { timeout: 20_000, interval: 50 }).toEqual(bodies)

describe('homes that share a room', () => {
  it('send each other what is said, also after one was cut off, was restarted, or both', async () => {
    const [alpha, beta, gamma] = [homes[0], homes[1], homes[2]]
    const alice = await alpha.register('alice')
    const bob = await beta.register('bob')
    const carol = await gamma.register('carol')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    await join(carol, roomId)
    const said: string[] = []
    const say = async (who: Person, body: string): Promise<void> => {
      await send(who, roomId, body)
      said.push(body)
    }
    await say(alice, 'one')
    await sees(bob, roomId, said)
    await sees(carol, roomId, said)
    await say(bob, 'two')
    await sees(carol, roomId, said)
    await sees(alice, roomId, said)

    homes.cut(alpha, beta)
    await say(alice, 'while cut')
    await sees(carol, roomId, said)
    await alpha.restart()
    homes.heal(alpha, beta)
    await say(now(alpha, alice), 'after the restart')
    await sees(bob, roomId, said)
    await sees(carol, roomId, said)
    expect(alpha.complaints.filter(({ event }) => event !== 'federation.destination-failing')).toEqual([])
  }, 60_000)

  it('tell each other who types, what is read, and who is there', async () => {
    const [alpha, beta] = [homes[0], homes[1]]
    const dora = await alpha.register('dora')
    const emil = await beta.register('emil')
    const roomId = await newRoom(dora, { preset: 'public_chat' })
    await join(emil, roomId)
    const eventId = await send(dora, roomId, 'hello')
    await sees(emil, roomId, ['hello'])
    await emil.api.put(roomPath(roomId, `/typing/${encodeURIComponent(emil.userId)}`), {
      typing: true,
      timeout: 30_000,
    })
    await emil.api.post(roomPath(roomId, `/receipt/m.read/${encodeURIComponent(eventId)}`), {})
    await emil.api.put(`/_matrix/client/v3/presence/${encodeURIComponent(emil.userId)}/status`, {
      presence: 'online',
      status_msg: 'here',
    })
    const ofRoom = async () => {
      const { body } = await dora.api.get('/_matrix/client/v3/sync', { timeout: 0 })
      return JSON.stringify(body)
    }
    await expect.poll(ofRoom, { timeout: 20_000 }).toContain(`"user_ids":["${emil.userId}"]`)
    await expect.poll(ofRoom, { timeout: 20_000 }).toContain(`"m.read":{"${emil.userId}"`)
    await expect.poll(ofRoom, { timeout: 20_000 }).toContain('"status_msg":"here"')
  }, 60_000)

  it('catch up after days away: the newest message comes by itself, those before it when they are looked for', async () => {
    const [alpha, beta] = [homes[0], homes[1]]
    const frida = now(alpha, await alpha.register('frida'))
    const georg = await beta.register('georg')
    const roomId = await newRoom(frida, { preset: 'public_chat' })
    await join(georg, roomId)
    await send(frida, roomId, 'before')
    await sees(georg, roomId, ['before'])
    homes.cut(alpha, beta)
    const said = Array.from({ length: 130 }, (_, i) => `m${i}`)
    for (const body of said) await send(frida, roomId, body)
    aheadMs += 86_400_000
    homes.heal(alpha, beta)
    await georg.api.put(roomPath(roomId, '/typing/') + encodeURIComponent(georg.userId), { typing: true })
    await expect.poll(async () => (await seenBy(georg, roomId)).at(-1), { timeout: 20_000 }).toBe('m129')
    await sees(georg, roomId, ['before', ...said])
  }, 60_000)
})
