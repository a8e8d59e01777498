import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom, send } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

const PATH = '/_hearth/client/v1/federation/destinations'
interface Destinations {
  readonly destinations: readonly {
    readonly server_name: string
    readonly state: string
    readonly failing_since: number | null
    readonly retry_at: number | null
    readonly why: string | null
    readonly lacks_events: boolean
    readonly waiting_edus: number
  }[]
  readonly total: number
}

let homes: Homes & { readonly 0: Home; readonly 1: Home }
let admin: Person
let alice: Person
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test'])
  admin = await registerAdmin(homes[0], 'admin')
  alice = await homes[0].register('alice')
})
afterAll(() => homes[Symbol.asyncDispose]())

describe('the list of servers that something waits for', () => {
  it('names those that cannot be reached, since when and why, until they are tried again and take it', async () => {
    const bob = await homes[1].register('bob')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const joined = await bob.api.post(
      `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`,
      {},
      { via: 'alpha.test' },
    )
    expect(joined.status).toBe(200)
    const list = async () => (await admin.api.get<Destinations>(PATH)).body
    await expect.poll(list, { timeout: 10_000 }).toEqual({ destinations: [], total: 0 })
    homes.cut(homes[0], homes[1])
    const before = Date.now()
    await send(alice, roomId, 'a secret that is in no list')
    await expect.poll(async () => (await list()).destinations[0]?.state, { timeout: 10_000 }).toBe('failing')
    const { destinations, total } = await list()
    expect(total).toBe(1)
    expect(destinations).toMatchObject([{ server_name: 'beta.test', lacks_events: true, waiting_edus: 0 }])
    const [beta] = destinations
    expect(beta?.failing_since).toBeGreaterThanOrEqual(before)
    expect(beta?.why).toContain('beta.test')
    expect(JSON.stringify(destinations)).not.toContain('secret')
    homes.healAll()
    expect((await admin.api.post(`${PATH}/beta.test/retry`)).status).toBe(200)
    await expect.poll(list, { timeout: 10_000 }).toEqual({ destinations: [], total: 0 })
    expect(await admin.api.post(`${PATH}/beta.test/retry`)).toMatchObject({
      status: 404,
      body: { errcode: 'M_NOT_FOUND' },
    })
  })

  it('is for administrators', async () => {
    const refused = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    expect(await alice.api.get(PATH)).toMatchObject(refused)
    expect(await alice.api.post(`${PATH}/beta.test/retry`)).toMatchObject(refused)
    expect((await homes[0].api().get(PATH)).status).toBe(401)
    expect(await admin.api.get(PATH, { limit: 0 })).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect(await admin.api.post(`${PATH}/${encodeURIComponent('no name')}/retry`)).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })
})
