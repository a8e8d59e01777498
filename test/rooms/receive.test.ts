import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json } from '../../server/protocol/pdu.ts'
import type { EventAnnouncement } from '../../server/rooms/index.ts'
import { peersOf, type RemoteServer, remoteKey, remoteServer } from '../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

let t: TestRooms
let remote: RemoteServer
let peers: ReturnType<typeof peersOf>
const key = remoteKey(3)
beforeEach(async () => {
  peers = peersOf([{ name: 'remote.test', key }])
  t = await startTestRooms({ peers })
  remote = remoteServer(t.rooms, 'remote.test', key)
})
afterEach(() => t[Symbol.asyncDispose]())

const VERSIONS = Array.from({ length: 12 }, (_, i) => String(i + 1))
const text = (body: string) => ({ type: 'm.room.message', content: { msgtype: 'm.text', body } })

async function publicRoom(
  version = '12',
): Promise<{ roomId: string; alice: ReturnType<TestRooms['user']>; eve: string; joined: string }> {
  const alice = t.user('alice')
  const roomId = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat', room_version: version })
  const eve = remote.user('eve')
  const joined = await remote.join(roomId, eve, [await newest(roomId)])
  return { roomId, alice, eve, joined }
}

async function newest(roomId: string): Promise<string> {
  using view = await t.rooms.open(roomId)
  const [event] = await view.timeline({ limit: 1, direction: 'backward' })
  return event?.eventId ?? ''
}

async function timeline(roomId: string): Promise<readonly string[]> {
  using view = await t.rooms.open(roomId)
  return (await view.timeline({ limit: 1_000, direction: 'forward' })).map(({ eventId }) => eventId)
}

let txn = 0
function say(roomId: string, body: string, name = 'alice'): Promise<string> {
  txn += 1
  return t.rooms.send({ roomId, requester: t.user(name), txnId: `t${txn}`, ...text(body) })
}

const cite = (references: readonly unknown[], old: string, now: string) =>
  references.map((id) => (id === old ? now : id)) as readonly string[]

const topicOf = async (roomId: string) => {
  using view = await t.rooms.open(roomId)
  return view.state.get('m.room.topic')?.pdu.content.topic
}

describe('server-server-api §Checks performed on receipt of a PDU', () => {
  it.each(VERSIONS)('takes in a chain of events of another server (version %s)', async (version) => {
    const { roomId, eve, joined } = await publicRoom(version)
    const first = await remote.send({ roomId, sender: eve, ...text('one'), on: [joined] })
    expect(first.reception.outcome).toBe('accepted')
    const own = await say(roomId, 'two')
    const third = await remote.send({ roomId, sender: eve, ...text('three'), on: [own] })
    expect(third.reception.outcome).toBe('accepted')
    expect((await timeline(roomId)).slice(-4)).toEqual([joined, first.eventId, own, third.eventId])
    using view = await t.rooms.open(roomId)
    expect(view.members.joined).toBe(2)
    expect(view.joined().has(eve)).toBe(true)
  })

  it('drops an event of the wrong format, of another room, and with a wrong signature; nothing of it is kept', async () => {
    const { roomId, eve, joined } = await publicRoom('11')
    const { roomId: other } = await publicRoom('11')
    const before = t.store.position
    const event = await remote.build({ roomId, sender: eve, ...text('x'), on: [joined] })
    const from = 'remote.test'
    const pdu = event.pdu as unknown as Record<string, Json>
    const forged = { ...pdu, origin_server_ts: 1 }
    for (const [json, why] of [
      [{ ...pdu, content: 'x' }, 'content'],
      [{ ...pdu, depth: 1.5 }, 'depth'],
      [{ ...pdu, signatures: {} }, 'signature'],
      [forged, 'signature'],
    ] as const) {
      const reception = await t.rooms.receive({ roomId, json: json as Json, from })
      expect(reception.outcome, why).toBe('dropped')
    }
    expect((await t.rooms.receive({ roomId: other, json: pdu as Json, from })).outcome).toBe('dropped')
    expect(t.store.position).toBe(before)
  })

  it('goes on with the redacted form where the content hash does not match', async () => {
    const { roomId, eve, joined } = await publicRoom('12')
    const event = await remote.build({ roomId, sender: eve, ...text('original'), on: [joined] })
    const changed = { ...event.pdu, content: { msgtype: 'm.text', body: 'changed on the way' } }
    const reception = await t.rooms.receive({ roomId, json: changed as unknown as Json, from: 'remote.test' })
    expect(reception).toMatchObject({ outcome: 'accepted', eventId: event.eventId })
    using view = await t.rooms.open(roomId)
    expect((await view.find(event.eventId))?.pdu.content).toEqual({})
  })

  it('knows an event that comes again', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const event = await remote.build({ roomId, sender: eve, ...text('x'), on: [joined] })
    const json = event.pdu as unknown as Json
    const receptions = await Promise.all(
      Array.from({ length: 4 }, () => t.rooms.receive({ roomId, json, from: 'remote.test' })),
    )
    expect(receptions.map(({ outcome }) => outcome).sort()).toEqual(['accepted', 'known', 'known', 'known'])
    expect((await timeline(roomId)).filter((id) => id === event.eventId)).toHaveLength(1)
  })

  it('rejects what the state before the event forbids: it is kept, but not shown and not built upon', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const topic = { type: 'm.room.topic', stateKey: '', content: { topic: 'mine' } }
    const heard: EventAnnouncement[] = []
    t.rooms.onEvent((announcement) => heard.push(announcement))
    const bad = await remote.send({ roomId, sender: eve, ...topic, on: [joined] })
    expect(bad.reception).toMatchObject({ outcome: 'rejected', why: expect.stringContaining('power') })
    expect(heard).toEqual([])
    expect(await topicOf(roomId)).toBeUndefined()
    expect(await timeline(roomId)).not.toContain(bad.eventId)
    const own = await say(roomId, 'after')
    using view = await t.rooms.open(roomId)
    expect((await view.find(own))?.pdu.prev_events).toEqual([joined])
    expect((await view.find(bad.eventId))?.isRejected).toBe(true)
    // Others may build on it all the same.
    const onBad = await remote.send({ roomId, sender: eve, ...text('on bad'), on: [bad.eventId], authFrom: joined })
    expect(onBad.reception.outcome).toBe('accepted')
  })

  it('soft-fails an event that the current state forbids', async () => {
    const { roomId, alice, eve, joined } = await publicRoom()
    await t.rooms.ban({ roomId, by: alice.userId, target: eve })
    const ban = await newest(roomId)
    const evading = await remote.send({ roomId, sender: eve, ...text('evading'), on: [joined] })
    expect(evading.reception.outcome).toBe('softFailed')
    expect(await timeline(roomId)).not.toContain(evading.eventId)
    const own = await say(roomId, 'after')
    using view = await t.rooms.open(roomId)
    expect((await view.find(own))?.pdu.prev_events).toEqual([ban])
  })

  it('keeps an event aside until what it builds on has come, and then takes in both in order', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const first = await remote.build({ roomId, sender: eve, ...text('first'), on: [joined] })
    const second = await remote.build({ roomId, sender: eve, ...text('second'), on: [first.eventId] })
    const third = await remote.build({ roomId, sender: eve, ...text('third'), on: [second.eventId] })
    const receive = (event: typeof first) =>
      t.rooms.receive({ roomId, json: event.pdu as unknown as Json, from: 'remote.test' })
    expect(await receive(third)).toMatchObject({ outcome: 'waiting', missing: [second.eventId] })
    expect(await receive(second)).toMatchObject({ outcome: 'waiting', missing: [first.eventId] })
    expect(await timeline(roomId)).not.toContain(third.eventId)
    expect((await receive(first)).outcome).toBe('accepted')
    await t.rooms.choresDone()
    expect((await timeline(roomId)).slice(-3)).toEqual([first.eventId, second.eventId, third.eventId])
  })

  it('asks the sender for missing previous events', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const chain = []
    let on = joined
    for (const body of ['a', 'b', 'c']) {
      const event = await remote.build({ roomId, sender: eve, ...text(body), on: [on] })
      peers.events.set(event.eventId, event.pdu as unknown as Json)
      chain.push(event)
      on = event.eventId
    }
    const last = chain.at(-1)
    const reception = await t.rooms.receive({ roomId, json: last?.pdu as unknown as Json, from: 'remote.test' })
    expect(reception.outcome).toBe('accepted')
    expect((await timeline(roomId)).slice(-3)).toEqual(chain.map(({ eventId }) => eventId))
  })

  it('asks the sender for missing auth events, and keeps them without showing them', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const base = { roomId, sender: eve, stateKey: eve, type: 'm.room.member' }
    const renamed = await remote.build({ ...base, content: { membership: 'join', displayname: 'E' }, on: [joined] })
    const said = await remote.build({ roomId, sender: eve, ...text('x'), on: [joined] })
    // Cites a membership that we have not seen, though it does not build on it.
    const citing = await remote.sign(
      { ...said.pdu, auth_events: cite(said.pdu.auth_events, joined, renamed.eventId) },
      roomId,
    )
    const waiting = await t.rooms.receive({ roomId, json: citing.pdu as unknown as Json, from: 'remote.test' })
    expect(waiting).toMatchObject({ outcome: 'waiting', missing: [renamed.eventId] })
    peers.events.set(renamed.eventId, renamed.pdu as unknown as Json)
    t.clock.advance(10_000)
    await t.rooms.choresDone()
    const again = await t.rooms.receive({ roomId, json: citing.pdu as unknown as Json, from: 'remote.test' })
    expect(again.outcome).toBe('accepted')
    expect(await timeline(roomId)).not.toContain(renamed.eventId)
    using view = await t.rooms.open(roomId)
    expect((await view.find(renamed.eventId))?.order).toBeNull()
    // Later it comes by itself and gets its place.
    const late = await t.rooms.receive({ roomId, json: renamed.pdu as unknown as Json, from: 'remote.test' })
    expect(late.outcome).toBe('accepted')
    expect((await timeline(roomId)).at(-1)).toBe(renamed.eventId)
    using after = await t.rooms.open(roomId)
    expect(after.state.get('m.room.member', eve)?.eventId).toBe(renamed.eventId)
  })

  it('takes events of versions before 6 whose numbers JavaScript cannot hold', async () => {
    const { roomId, eve, joined } = await publicRoom('5')
    const { parseJson } = await import('../../server/protocol/json.ts')
    const content = parseJson('{"msgtype":"m.text","body":"x","a":1.0,"b":123456789012345678901}') as never
    const sent = await remote.send({ roomId, sender: eve, type: 'm.room.message', content, on: [joined] })
    expect(sent.reception.outcome).toBe('accepted')
    const again = await t.reopen()
    using view = await again.rooms.open(roomId)
    const event = await view.find(sent.eventId)
    expect(event && JSON.stringify(event.pdu.content)).toBe(
      '{"msgtype":"m.text","body":"x","a":1.0,"b":123456789012345678901}',
    )
    await again[Symbol.asyncDispose]()
  })
})

describe('server-server-api §Room State Resolution', () => {
  it.each(VERSIONS)(
    'builds our next event on both ends of a fork, and shows all of it once (version %s)',
    async (version) => {
      const { roomId, eve, joined } = await publicRoom(version)
      const ours = await say(roomId, 'ours')
      const theirs = await remote.send({ roomId, sender: eve, ...text('theirs'), on: [joined] })
      expect(theirs.reception.outcome).toBe('accepted')
      const merged = await say(roomId, 'merged')
      using view = await t.rooms.open(roomId)
      const { prev_events } = (await view.find(merged))?.pdu ?? {}
      const ids = prev_events?.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
      expect(ids?.toSorted()).toEqual([ours, theirs.eventId].toSorted())
      expect((await timeline(roomId)).slice(-3)).toEqual([ours, theirs.eventId, merged])
    },
  )

  it.each(VERSIONS.slice(1))('lets a ban win over what the banned user did beside it (version %s)', async (version) => {
    const { roomId, alice, eve } = await publicRoom(version)
    using before = await t.rooms.open(roomId)
    const levels = before.state.get('m.room.power_levels')?.pdu.content ?? {}
    await t.rooms.setState({
      roomId,
      requester: alice,
      type: 'm.room.power_levels',
      stateKey: '',
      content: { ...levels, users: { ...(levels.users as object), [eve]: 50 } },
    })
    const fork = await newest(roomId)
    const topic = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.topic',
      stateKey: '',
      content: { topic: 'by eve' },
      on: [fork],
    })
    expect(topic.reception.outcome).toBe('accepted')
    expect(await topicOf(roomId)).toBe('by eve')
    await t.rooms.ban({ roomId, by: alice.userId, target: eve })
    const late = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.name',
      stateKey: '',
      content: { name: 'evading' },
      on: [topic.eventId],
    })
    expect(late.reception.outcome).toBe('softFailed')
    await say(roomId, 'after')
    using view = await t.rooms.open(roomId)
    expect(view.state.get('m.room.name')).toBeUndefined()
    expect(view.membershipOf(eve)).toBe('ban')
    expect(view.joined().has(eve)).toBe(false)
  })

  it('holds the same state after a restart in the middle of a fork, and goes on from there', async () => {
    const { roomId, eve, joined } = await publicRoom()
    await say(roomId, 'ours')
    const theirs = await remote.send({ roomId, sender: eve, ...text('theirs'), on: [joined] })
    const before = await timeline(roomId)
    const again = await t.reopen()
    const event = await again.rooms.send({ roomId, requester: again.user('alice'), txnId: 'x', ...text('merged') })
    using view = await again.rooms.open(roomId)
    expect((await view.find(event))?.pdu.prev_events).toHaveLength(2)
    expect((await view.find(event))?.pdu.prev_events).toContain(theirs.eventId)
    const ids = (await view.timeline({ limit: 100, direction: 'forward' })).map(({ eventId }) => eventId)
    expect(ids).toEqual([...before, event])
    await again[Symbol.asyncDispose]()
  })

  it('builds on at most 20 ends at once, and takes in all of them in the end', async () => {
    const { roomId, eve, joined } = await publicRoom()
    // Nobody of ours may send what would join them.
    await t.rooms.setState({
      roomId,
      requester: t.user('alice'),
      type: 'm.room.power_levels',
      stateKey: '',
      content: { events: { 'org.matrix.dummy_event': 2 ** 53 - 1 }, users_default: 50 },
    })
    const start = await newest(roomId)
    for (let i = 0; i < 30; i += 1) {
      await remote.send({ roomId, sender: eve, ...text(`end ${i}`), on: [joined], authFrom: start })
    }
    await t.rooms.choresDone()
    const ids = [await say(roomId, 'one'), await say(roomId, 'two')]
    using view = await t.rooms.open(roomId)
    const previous = await Promise.all(ids.map(async (id) => (await view.find(id))?.pdu.prev_events ?? []))
    expect(previous[0]?.length).toBeLessThanOrEqual(20)
    expect(new Set(previous.flat()).size).toBeGreaterThanOrEqual(12)
    expect(previous[1]).toContain(ids[0])
  })

  it('joins more than ten ends by an event that no client is shown, once a minute at most', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const ends = async () => {
      const event = await say(roomId, 'look')
      using view = await t.rooms.open(roomId)
      return (await view.find(event))?.pdu.prev_events.length
    }
    const fork = async (count: number) => {
      for (let i = 0; i < count; i += 1) await remote.send({ roomId, sender: eve, ...text('end'), on: [joined] })
      await t.rooms.choresDone()
    }
    await fork(10)
    expect(await ends()).toBe(10)
    const before = await timeline(roomId)
    await fork(11)
    expect(await timeline(roomId)).toHaveLength(before.length + 11)
    expect(await ends()).toBeLessThan(3)
    await fork(13)
    expect(await ends()).toBeGreaterThan(12)
    t.clock.advance(60_000)
    await fork(12)
    expect(await ends()).toBeLessThan(5)
  })
})

describe('rooms/v3 §Handling redactions', () => {
  it('applies a redaction that came before the event that it is aimed at', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const target = await remote.build({ roomId, sender: eve, ...text('gone'), on: [joined] })
    const early = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.redaction',
      content: {},
      redacts: target.eventId,
      on: [joined],
    })
    expect(early.reception.outcome).toBe('accepted')
    expect(await timeline(roomId)).not.toContain(early.eventId)
    await t.rooms.receive({ roomId, json: target.pdu as unknown as Json, from: 'remote.test' })
    using view = await t.rooms.open(roomId)
    const event = await view.find(target.eventId)
    expect(event?.pdu.content).toEqual({})
    expect(event?.redactedBecause?.eventId).toBe(early.eventId)
    expect(await timeline(roomId)).toContain(early.eventId)
  })

  it('neither applies nor shows a redaction of another server’s event without the power for it', async () => {
    const { roomId, eve, joined } = await publicRoom()
    const own = await say(roomId, 'stays')
    const bad = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.redaction',
      content: {},
      redacts: own,
      on: [joined],
    })
    expect(bad.reception.outcome).toBe('accepted')
    using view = await t.rooms.open(roomId)
    expect((await view.find(own))?.pdu.content.body).toBe('stays')
    expect(await timeline(roomId)).not.toContain(bad.eventId)
  })
})
