import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseJson } from '../../server/protocol/json.ts'
import type { IdentifiedPdu, Json, JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { waitingEvents } from '../../server/rooms/store.ts'
import { peersOf, type RemoteServer, remoteKey, remoteServer } from '../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

const key = remoteKey(6)
let t: TestRooms
let peers: ReturnType<typeof peersOf>
let remote: RemoteServer
beforeEach(async () => {
  peers = peersOf([{ name: 'remote.test', key }])
  t = await startTestRooms({ peers })
  remote = remoteServer(t.rooms, 'remote.test', key)
})
afterEach(() => t[Symbol.asyncDispose]())

const text = (body: string) => ({ type: 'm.room.message', content: { msgtype: 'm.text', body } })
const jsonOf = ({ pdu }: IdentifiedPdu) => parseJson(JSON.stringify(pdu)) as Json
const receive = (roomId: string, event: IdentifiedPdu, from = 'remote.test') =>
  t.rooms.receive({ roomId, json: jsonOf(event), from })

async function publicRoom(version = '12') {
  const alice = t.user('alice')
  const roomId = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat', room_version: version })
  const eve = remote.user('eve')
  using view = await t.rooms.open(roomId)
  const [newest] = await view.timeline({ limit: 1, direction: 'backward' })
  const joined = await remote.join(roomId, eve, [newest?.eventId ?? ''])
  return { roomId, alice, eve, joined }
}
async function timeline(roomId: string) {
  using view = await t.rooms.open(roomId)
  return (await view.timeline({ limit: 1_000, direction: 'forward' })).map(({ eventId }) => eventId)
}
const say = (roomId: string, txnId: string) =>
  t.rooms.send({ roomId, requester: t.user('alice'), txnId, ...text(txnId) })
/** The event with other previous events than the room has, signed. */
const on = async (roomId: string, event: IdentifiedPdu, previous: readonly Json[], changes: JsonObject = {}) =>
  remote.sign({ ...event.pdu, prev_events: previous, ...changes } as unknown as Pdu, roomId)

describe('server-server-api §Checks performed on receipt of a PDU, against servers that mean ill', () => {
  it('drops an event that builds on itself', async () => {
    const { roomId, eve, joined } = await publicRoom('2')
    const event = await remote.build({ roomId, sender: eve, ...text('x'), on: [joined] })
    const itself = await on(roomId, event, [[event.eventId, { sha256: 'x' }]])
    expect(await receive(roomId, itself)).toMatchObject({ outcome: 'dropped', why: expect.stringContaining('itself') })
  })

  it('does not go round in circles between events that build on each other', async () => {
    const { roomId, eve, joined } = await publicRoom('2')
    const one = await remote.build({ roomId, sender: eve, ...text('one'), on: [joined] })
    const two = await remote.build({ roomId, sender: eve, ...text('two'), on: [joined] })
    const first = await on(roomId, one, [[two.eventId, {}]])
    const second = await on(roomId, two, [[one.eventId, {}]])
    for (const event of [first, second]) peers.events.set(event.eventId, jsonOf(event))
    const before = await timeline(roomId)
    expect((await receive(roomId, first)).outcome).toBe('waiting')
    expect((await receive(roomId, second)).outcome).toBe('waiting')
    expect(await timeline(roomId)).toEqual(before)
    await say(roomId, 'still works')
  })

  it('does not go round in circles between auth events either', async () => {
    const { roomId, eve, joined } = await publicRoom('2')
    const member = { roomId, sender: eve, stateKey: eve, type: 'm.room.member', on: [joined] }
    const one = await remote.build({ ...member, content: { membership: 'join', displayname: '1' } })
    const two = await remote.build({ ...member, content: { membership: 'join', displayname: '2' } })
    const citing = (event: IdentifiedPdu, other: IdentifiedPdu) =>
      remote.sign({ ...event.pdu, auth_events: [...event.pdu.auth_events.slice(0, 2), [other.eventId, {}]] }, roomId)
    const first = await citing(one, two)
    const second = await citing(two, one)
    for (const event of [first, second]) peers.events.set(event.eventId, jsonOf(event))
    expect((await receive(roomId, first)).outcome).toBe('waiting')
    using view = await t.rooms.open(roomId)
    expect(view.state.get('m.room.member', eve)?.eventId).toBe(joined)
  })

  it('rejects what cites a rejected event as the one that allows it', async () => {
    const { roomId, eve, joined } = await publicRoom()
    // Eve may not give herself power; the event that says so is known, and rejected.
    const levels = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.power_levels',
      stateKey: '',
      content: { users: { [eve]: 100 } },
      on: [joined],
    })
    expect(levels.reception.outcome).toBe('rejected')
    const topic = await remote.build({
      roomId,
      sender: eve,
      type: 'm.room.topic',
      stateKey: '',
      content: { topic: 'mine' },
      on: [joined],
    })
    using view = await t.rooms.open(roomId)
    const current = view.state.get('m.room.power_levels')?.eventId
    const citing = await remote.sign(
      { ...topic.pdu, auth_events: topic.pdu.auth_events.map((id) => (id === current ? levels.eventId : id)) },
      roomId,
    )
    expect(await receive(roomId, citing)).toMatchObject({ outcome: 'rejected' })
    using after = await t.rooms.open(roomId)
    expect(after.state.get('m.room.topic')).toBeUndefined()
  })

  it('drops events that are too large, and depths that are none', async () => {
    const { roomId, eve, joined } = await publicRoom('11')
    const event = await remote.build({ roomId, sender: eve, ...text('x'), on: [joined] })
    const large = await remote.sign({ ...event.pdu, content: { body: 'x'.repeat(70_000) } }, roomId)
    expect(await receive(roomId, large)).toMatchObject({ outcome: 'dropped', why: expect.stringContaining('65536') })
    const negative = { ...event.pdu, depth: -1 }
    expect(await receive(roomId, { ...event, pdu: negative })).toMatchObject({ outcome: 'dropped' })
  })

  it('goes on after an event of the greatest depth there is', async () => {
    const { roomId, eve, joined } = await publicRoom('5')
    const event = await remote.build({ roomId, sender: eve, ...text('deep'), on: [joined] })
    const deepest = parseJson('9223372036854775807') as unknown as number
    const deep = await remote.sign({ ...event.pdu, depth: deepest }, roomId)
    expect((await receive(roomId, deep)).outcome).toBe('accepted')
    const own = await say(roomId, 'after')
    const again = await say(roomId, 'and again')
    expect((await timeline(roomId)).slice(-3)).toEqual([deep.eventId, own, again])
  })

  it('keeps aside a bounded number of events that lack something, and goes on with those of others', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const template = await remote.build({ roomId, sender: eve, ...text('x'), on: [joined] })
    const pdus: Json[] = []
    for (let i = 0; i < 300; i += 1) {
      const nobodys = `$${String(i).padStart(43, 'n')}`
      pdus.push(jsonOf(await on(roomId, template, [nobodys], { content: { body: `flood ${i}` } })))
    }
    const results = await t.rooms.incoming.receivePdus('remote.test', pdus)
    expect(Object.values(results).filter(({ error }) => error !== undefined)).toHaveLength(50)
    await t.rooms.choresDone()
    using lease = await t.store.openRoom(roomId)
    expect(await lease.count(waitingEvents)).toBe(250)
    const fine = await remote.send({ roomId, sender: eve, ...text('fine'), on: [joined] })
    expect(fine.reception.outcome).toBe('accepted')
    const waits = await on(roomId, template, [`$${'o'.repeat(43)}`], { content: { body: 'of another' } })
    expect((await receive(roomId, waits, 'other.test')).outcome).toBe('waiting')
    // In the end they are given up.
    for (let i = 0; i < 15; i += 1) {
      t.clock.advance(24 * 3_600_000)
      await t.rooms.choresDone()
    }
    expect(await lease.count(waitingEvents)).toBe(0)
  })

  it('takes no state from others that is not the room’s', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const { roomId: other } = await publicRoom()
    const template = await remote.build({ roomId, sender: eve, ...text('x'), on: [joined] })
    const unknown = await on(roomId, template, [`$${'u'.repeat(43)}`])
    using foreign = await t.rooms.open(other)
    const foreignIds = [...foreign.state.all()].map(({ eventId }) => eventId)
    const forged = { ...template.pdu, type: 'm.room.topic', state_key: '', content: { topic: 'forged' } }
    peers.states.set(unknown.eventId, { state: [...foreignIds], authChain: [] })
    peers.events.set('$forged', forged as unknown as Json)
    expect((await receive(roomId, unknown)).outcome).toBe('waiting')
    // With the room's own state it goes; what was slipped into it does not count.
    using view = await t.rooms.open(roomId)
    const own = [...view.state.all()].map(({ eventId }) => eventId)
    peers.states.set(unknown.eventId, { state: [...own, ...own, '$forged'], authChain: [] })
    t.clock.advance(3_600_000)
    await t.rooms.choresDone()
    expect(await timeline(roomId)).toContain(unknown.eventId)
    using after = await t.rooms.open(roomId)
    expect(after.state.get('m.room.topic')).toBeUndefined()
    expect(after.members.joined).toBe(2)
  })
})
