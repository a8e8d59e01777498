import { describe, expect, it } from 'vitest'
import {
  authEventKeys,
  checkAuthEvents,
  type KnownEvent,
  selectAuthEvents,
  stateOfAuthEvents,
} from '../../../server/protocol/auth-rules/index.ts'
import type { Json, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import { type Asked, alice, allowed, bob, carol, rejected, situation, versions } from './situation.ts'

const keysOf = (version: string, event: Omit<Asked, 'by'> & { readonly by?: string }): readonly string[] => {
  const { by = alice, type, key, content = {} } = event
  const keys = authEventKeys({ type, sender: by, state_key: key, content }, getRoomVersion(version))
  return keys.map(({ type: keyType, stateKey }) => `${keyType} ${stateKey}`.trim())
}
const invited = (token: Json) => ({ membership: 'invite', third_party_invite: { signed: { token } } })

describe('server-server-api §Auth events selection', () => {
  it.each(ROOM_VERSIONS)('version %s: selects nothing for the create event', (version) => {
    expect(keysOf(version, { type: 'm.room.create', key: '' })).toEqual([])
  })

  it.each(versions(1, 11))("version %s: selects create event, power levels and the sender's membership", (version) => {
    expect(keysOf(version, { type: 'm.room.message' })).toEqual([
      'm.room.create',
      'm.room.power_levels',
      `m.room.member ${alice}`,
    ])
  })

  it('version 12: does not select the create event', () => {
    expect(keysOf('12', { type: 'm.room.message' })).toEqual(['m.room.power_levels', `m.room.member ${alice}`])
  })

  it.each([
    ['leave', []],
    ['ban', []],
    ['invite', ['m.room.join_rules']],
    ['join', ['m.room.join_rules']],
    ['knock', ['m.room.join_rules']],
  ])('selects the target and what a membership of %s needs', (membership, more) => {
    expect(keysOf('11', { type: 'm.room.member', key: bob, content: { membership } })).toEqual([
      'm.room.create',
      'm.room.power_levels',
      `m.room.member ${alice}`,
      `m.room.member ${bob}`,
      ...more,
    ])
  })

  it('selects one membership where sender and target are the same', () => {
    const keys = keysOf('11', { type: 'm.room.member', key: alice, content: { membership: 'leave' } })
    expect(keys.filter((key) => key.startsWith('m.room.member'))).toEqual([`m.room.member ${alice}`])
  })

  it('selects the third-party invite that an invite names', () => {
    expect(keysOf('11', { type: 'm.room.member', key: bob, content: invited('tok') })).toContain(
      'm.room.third_party_invite tok',
    )
    const asJoin = { ...invited('tok'), membership: 'join' }
    expect(keysOf('11', { type: 'm.room.member', key: bob, content: asJoin })).not.toContain(
      'm.room.third_party_invite tok',
    )
  })

  it.each(versions(8, 12))('version %s: selects the user who authorised a restricted join', (version) => {
    const content = { membership: 'join', join_authorised_via_users_server: carol }
    expect(keysOf(version, { type: 'm.room.member', key: alice, content })).toContain(`m.room.member ${carol}`)
    const invite = { ...content, membership: 'invite' }
    expect(keysOf(version, { type: 'm.room.member', key: alice, content: invite })).not.toContain(
      `m.room.member ${carol}`,
    )
  })

  it.each(versions(1, 7))('version %s: knows no restricted joins', (version) => {
    const content = { membership: 'join', join_authorised_via_users_server: carol }
    expect(keysOf(version, { type: 'm.room.member', key: alice, content })).not.toContain(`m.room.member ${carol}`)
  })

  it.each([
    ['third_party_invite is text', { membership: 'invite', third_party_invite: 'x' }],
    ['third_party_invite is null', { membership: 'invite', third_party_invite: null }],
    ['signed is a list', { membership: 'invite', third_party_invite: { signed: [] } }],
    ['token is a number', invited(5)],
    ['token is an object', invited({})],
    ['the authorising user is a list', { membership: 'join', join_authorised_via_users_server: [carol] }],
    ['membership is an object', { membership: {} }],
    ['there is no content to speak of', {}],
  ])('does not stumble where %s', (_, content) => {
    const keys = keysOf('11', { type: 'm.room.member', key: bob, content })
    expect(keys.slice(0, 4)).toEqual([
      'm.room.create',
      'm.room.power_levels',
      `m.room.member ${alice}`,
      `m.room.member ${bob}`,
    ])
  })

  it('gives the events that the room has, and skips those that it has not', () => {
    const { state, rules, create } = situation('11', { members: { [bob]: 'join' }, rule: 'public' })
    const subject = { type: 'm.room.member', sender: carol, state_key: carol, content: { membership: 'join' } }
    const selected = selectAuthEvents(subject, state.find, rules)
    expect(selected.map(({ pdu }) => pdu.type)).toEqual(['m.room.create', 'm.room.join_rules'])
    expect(selected[0]).toBe(create)
  })
})

/** A room with alice in it, and an event by her whose auth events are changed by each test. */
function citing(
  version: string,
  changes: (honest: readonly string[]) => readonly string[],
  more: readonly KnownEvent[] = [],
) {
  const { rules, roomId, create, pdu } = situation(version)
  const withRoom = (event: Pdu): Pdu => ({ ...event, room_id: roomId })
  const joined = { by: alice, type: 'm.room.member', key: alice, content: { membership: 'join' } }
  const levels = { by: alice, type: 'm.room.power_levels', key: '' }
  const events = new Map(
    [
      create,
      { eventId: '$alice', pdu: withRoom(pdu(joined)) },
      { eventId: '$alice again', pdu: withRoom(pdu(joined)) },
      { eventId: '$levels', pdu: withRoom(pdu(levels)) },
      { eventId: '$bob', pdu: withRoom(pdu({ ...joined, by: bob, key: bob })) },
      { eventId: '$message', pdu: withRoom(pdu({ by: alice, type: 'm.room.member' })) },
      { eventId: '$foreign', pdu: { ...pdu(levels), room_id: '!other:one.example' } },
      { eventId: '$refused', pdu: withRoom(pdu(levels)), rejected: 'byState' as const },
      { eventId: '$hopeless', pdu: withRoom(pdu(levels)), rejected: 'byAuthEvents' as const },
      ...more,
    ].map((event): [string, KnownEvent] => [event.eventId, event]),
  )
  const honest = rules.roomIdIsCreateHash ? ['$levels', '$alice'] : [create.eventId, '$levels', '$alice']
  const refer = (id: string) => (rules.eventIds === 'inEvent' ? ([id, {}] as const) : id)
  const event: Pdu = { ...pdu({ by: alice, type: 'm.room.message' }), auth_events: changes(honest).map(refer) }
  const eventById = (eventId: string) => events.get(eventId)
  return { event, eventById, rules, verdict: checkAuthEvents(event, eventById, rules) }
}

describe.each(ROOM_VERSIONS)('rooms/v%s §Authorization rules: auth_events', (version) => {
  const without = (type: string) => (honest: readonly string[]) => honest.filter((id) => id !== type)

  it('allows what the selection gives, and less', () => {
    expect(citing(version, (honest) => honest).verdict).toEqual(allowed)
    expect(citing(version, without('$levels')).verdict).toEqual(allowed)
  })

  it('rejects two entries for one type and state key, and one entry twice', () => {
    expect(citing(version, (honest) => [...honest, '$alice again']).verdict).toEqual(rejected('two entries'))
    expect(citing(version, (honest) => [...honest, '$alice']).verdict).toEqual(rejected('two entries'))
  })

  it('rejects entries that are not in the selection', () => {
    expect(citing(version, (honest) => [...honest, '$bob']).verdict).toEqual(rejected('$bob, which does not belong'))
    expect(citing(version, (honest) => [...honest, '$message']).verdict).toEqual(
      rejected('$message, which does not belong'),
    )
  })

  it('rejects entries that were rejected themselves, for whatever reason', () => {
    for (const bad of ['$refused', '$hopeless']) {
      expect(citing(version, (honest) => [...without('$levels')(honest), bad]).verdict).toEqual(
        rejected(`${bad}, which was rejected`),
      )
    }
  })

  it('rejects entries of other rooms', () => {
    expect(citing(version, (honest) => [...without('$levels')(honest), '$foreign']).verdict).toEqual(
      rejected('$foreign, which has another room_id'),
    )
  })

  it('rejects entries that nobody knows', () => {
    expect(citing(version, (honest) => [...honest, '$unheard']).verdict).toEqual(
      rejected('$unheard, which is not known'),
    )
  })

  it('judges the event by them alone', () => {
    const { event, eventById, rules } = citing(version, without('$levels'))
    const state = stateOfAuthEvents(event, eventById, rules)
    expect(state.membership(alice)).toBe('join')
    expect(state.creator).toBe(alice)
    expect(state.find('m.room.power_levels', '')).toBeUndefined()
    expect(state.membership(bob)).toBeUndefined()
  })
})

describe('rooms/v1 §Authorization rules, 2.4', () => {
  it.each(versions(1, 11))('version %s: rejects auth_events without the create event', (version) => {
    expect(citing(version, (honest) => honest.slice(1)).verdict).toEqual(rejected('no create event'))
    expect(citing(version, () => []).verdict).toEqual(rejected('no create event'))
  })
})

describe('rooms/v12 §Authorization rules, 2 and 3.2', () => {
  it('rejects auth_events that name the create event', () => {
    expect(citing('12', (honest) => ['$create', ...honest]).verdict).toEqual(rejected('$create, which does not belong'))
  })

  it('rejects a room_id that is not of a create event', () => {
    const { event, eventById, rules } = citing('12', (honest) => honest)
    const judge = (roomId: string) => checkAuthEvents({ ...event, room_id: roomId }, eventById, rules)
    expect(judge('!unheard')).toEqual(rejected('room_id'))
    expect(judge('!levels')).toEqual(rejected('room_id'))
    expect(checkAuthEvents({ ...event, auth_events: [] }, eventById, rules)).toEqual(allowed)
  })

  it('rejects a room_id of a create event that was rejected', () => {
    const { event, eventById, rules } = citing('12', (honest) => honest)
    const refused = (eventId: string): KnownEvent | undefined => {
      const known = eventById(eventId)
      return known && eventId === '$create' ? { ...known, rejected: 'byState' } : known
    }
    expect(checkAuthEvents(event, refused, rules)).toEqual(rejected('room_id'))
  })
})
