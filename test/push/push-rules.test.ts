import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'
import * as rig from '../sync/rig.ts'

const RULES = '/_matrix/client/v3/pushrules'
interface Rule {
  readonly rule_id: string
  readonly default: boolean
  readonly enabled: boolean
  readonly actions: readonly unknown[]
  readonly conditions?: readonly unknown[]
  readonly pattern?: string
}
type Ruleset = Record<'override' | 'content' | 'room' | 'sender' | 'underride', readonly Rule[]>

let server: TestServer
let names = 0
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(async () => {
  expect(server.complaints).toEqual([])
  await server[Symbol.asyncDispose]()
})
const somebody = (): Promise<Person> => {
  names += 1
  return server.register(`user${names}`)
}
const rulesOf = async (who: Person): Promise<Ruleset> => (await who.api.get<Ruleset>(`${RULES}/global/`)).body
const idsOf = (rules: readonly Rule[]): readonly string[] => rules.map(({ rule_id: id }) => id)
const put = (who: Person, kind: string, id: string, body: unknown, query = {}) =>
  who.api.put(`${RULES}/global/${kind}/${encodeURIComponent(id)}`, body, query)

describe('client-server-api §Push Rules: API', () => {
  it('gives everybody the server-default rules', async () => {
    const alice = await somebody()
    const { status, body } = await alice.api.get<{ global: Ruleset }>(`${RULES}/`)
    expect(status).toBe(200)
    expect(idsOf(body.global.override)).toEqual([
      '.m.rule.master',
      '.m.rule.suppress_notices',
      '.m.rule.invite_for_me',
      '.m.rule.member_event',
      '.m.rule.is_user_mention',
      '.m.rule.is_room_mention',
      '.m.rule.tombstone',
      '.m.rule.reaction',
      '.m.rule.room.server_acl',
      '.m.rule.suppress_edits',
    ])
    expect(idsOf(body.global.underride)).toHaveLength(5)
    expect(body.global.content).toEqual([])
    expect(await rulesOf(alice)).toEqual(body.global)
  })

  it('adds a rule, enabled, before all own ones of its kind but behind the master rule', async () => {
    const alice = await somebody()
    await put(alice, 'override', 'first', { actions: [], conditions: [] })
    await put(alice, 'override', 'second', {
      actions: ['notify', { set_tweak: 'sound', value: 'beer.wav' }],
      conditions: [{ kind: 'event_match', key: 'content.body', pattern: 'beer' }],
    })
    const { override } = await rulesOf(alice)
    expect(idsOf(override).slice(0, 4)).toEqual(['.m.rule.master', 'second', 'first', '.m.rule.suppress_notices'])
    expect((await alice.api.get(`${RULES}/global/override/second`)).body).toEqual({
      rule_id: 'second',
      default: false,
      enabled: true,
      actions: ['notify', { set_tweak: 'sound', value: 'beer.wav' }],
      conditions: [{ kind: 'event_match', key: 'content.body', pattern: 'beer' }],
    })
  })

  it('puts a rule right before or after another own one; before is the stronger', async () => {
    const alice = await somebody()
    for (const id of ['c', 'b', 'a']) await put(alice, 'content', id, { actions: [], pattern: id })
    await put(alice, 'content', 'x', { actions: [], pattern: 'x' }, { before: 'b' })
    await put(alice, 'content', 'y', { actions: [], pattern: 'y' }, { after: 'b' })
    await put(alice, 'content', 'z', { actions: [], pattern: 'z' }, { before: 'c', after: 'a' })
    expect(idsOf((await rulesOf(alice)).content)).toEqual(['a', 'x', 'b', 'y', 'z', 'c'])
    await put(alice, 'content', 'c', { actions: [], pattern: 'c' }, { before: 'a' })
    expect(idsOf((await rulesOf(alice)).content)).toEqual(['c', 'a', 'x', 'b', 'y', 'z'])
    const unknown = await put(alice, 'content', 'w', { actions: [], pattern: 'w' }, { before: 'nobody' })
    expect(unknown).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN' } })
    const toDefault = await put(alice, 'override', 'w', { actions: [] }, { after: '.m.rule.suppress_notices' })
    expect(toDefault).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN' } })
  })

  it('changes a rule in its place, and leaves it enabled or disabled', async () => {
    const alice = await somebody()
    for (const id of ['b', 'a']) await put(alice, 'content', id, { actions: [], pattern: id })
    await alice.api.put(`${RULES}/global/content/b/enabled`, { enabled: false })
    await put(alice, 'content', 'b', { actions: ['notify'], pattern: 'bee' })
    expect((await rulesOf(alice)).content).toMatchObject([
      { rule_id: 'a' },
      { rule_id: 'b', pattern: 'bee', actions: ['notify'], enabled: false },
    ])
  })

  it('enables and disables, and gives other actions to, any rule', async () => {
    const alice = await somebody()
    const master = `${RULES}/global/override/.m.rule.master`
    expect((await alice.api.get(`${master}/enabled`)).body).toEqual({ enabled: false })
    expect((await alice.api.put(`${master}/enabled`, { enabled: true })).status).toBe(200)
    expect((await alice.api.get(`${master}/enabled`)).body).toEqual({ enabled: true })
    const message = `${RULES}/global/underride/.m.rule.message`
    expect((await alice.api.put(`${message}/actions`, { actions: ['dont_notify'] })).status).toBe(200)
    expect((await alice.api.get(`${message}/actions`)).body).toEqual({ actions: [] })
  })

  it('deletes own rules, and no others', async () => {
    const alice = await somebody()
    await put(alice, 'room', '!room:example.org', { actions: [] })
    const path = `${RULES}/global/room/${encodeURIComponent('!room:example.org')}`
    expect((await alice.api.delete(path)).status).toBe(200)
    expect(await alice.api.delete(path)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect((await alice.api.delete(`${RULES}/global/override/.m.rule.master`)).status).toBe(400)
    expect((await rulesOf(alice)).override).toHaveLength(10)
  })

  it.each([
    ['override', '.mine', { actions: [] }],
    ['override', 'a/b', { actions: [] }],
    ['override', 'a\\b', { actions: [] }],
    ['content', 'word', { actions: [] }],
    ['override', 'odd', { actions: ['explode'] }],
    ['override', 'odd', { actions: [{ value: 1 }] }],
    ['override', 'odd', { actions: 'notify' }],
    ['override', 'odd', {}],
    ['override', 'odd', { actions: [], conditions: [{ key: 'no kind' }] }],
    ['nonsense', 'odd', { actions: [] }],
  ])('refuses %s rule %s %j', async (kind, id, body) => {
    const alice = await somebody()
    expect((await put(alice, kind, id, body)).status).toBe(400)
    expect((await alice.api.get(`${RULES}/`)).body).toEqual({ global: await rulesOf(await somebodyLike(alice)) })
  })

  it.each(['', '/enabled', '/actions'])('says that a rule is not there: %s', async (part) => {
    const alice = await somebody()
    const path = `${RULES}/global/override/nothing${part}`
    const missing = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
    expect(await alice.api.get(path)).toMatchObject(missing)
    if (part === '/enabled') expect(await alice.api.put(path, { enabled: true })).toMatchObject(missing)
    if (part === '/actions') expect(await alice.api.put(path, { actions: [] })).toMatchObject(missing)
  })

  it('tells all of the user\u2019s devices in account data', async () => {
    const alice = await somebody()
    const { next_batch: since } = await rig.sync(alice)
    await put(alice, 'sender', '@spam:example.org', { actions: [] })
    const body = await rig.sync(alice, { since })
    expect(body.account_data?.events).toEqual([{ type: 'm.push_rules', content: { global: await rulesOf(alice) } }])
  })

  it('is not to be gone round through account data', async () => {
    const alice = await somebody()
    const path = `/_matrix/client/v3/user/${encodeURIComponent(alice.userId)}/account_data/m.push_rules`
    expect((await alice.api.put(path, { global: {} })).status).toBe(405)
  })
})

/** The rules of somebody who has changed none, as they would be for this user. */
async function somebodyLike(who: Person): Promise<Person> {
  const fresh = await somebody()
  const renamed = JSON.stringify(await rulesOf(fresh)).replaceAll(fresh.userId, who.userId)
  return {
    ...fresh,
    api: { ...fresh.api, get: async () => ({ status: 200, headers: new Headers(), body: JSON.parse(renamed) }) },
  }
}
