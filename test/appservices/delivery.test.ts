import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
import { act, join, leave, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import { AppserviceRig } from './rig.ts'

let rig: AppserviceRig
afterEach(() => rig[Symbol.asyncDispose]())

const e = encodeURIComponent

describe('application-service-api §Pushing events', () => {
  it('tells what happens in rooms in which a user of the namespace is, with the hs_token, in order', async () => {
    rig = await AppserviceRig.start()
    const { server, service } = rig
    const alice = await server.register('alice')
    const ghost = await service.newUser(server, '_irc_bob')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await send(alice, roomId, 'before')
    await join(ghost, roomId)
    for (let i = 0; i < 20; i += 1) await send(alice, roomId, `number ${i}`)
    await service.until(() => service.bodies.includes('number 19'))
    expect(service.bodies).toEqual(Array.from({ length: 20 }, (_, i) => `number ${i}`))
    expect(service.events[0]).toMatchObject({
      type: 'm.room.member',
      state_key: ghost.userId,
      room_id: roomId,
      content: { membership: 'join' },
    })
    expect(new Set(service.requests.map(({ authorization }) => authorization))).toEqual(
      new Set([`Bearer ${service.hsToken}`]),
    )
    expect(new Set(service.requests.map(({ method }) => method))).toEqual(new Set(['PUT']))
    const ids = service.transactions.map(({ txnId }) => txnId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('tells an invite with the stripped state, and nothing of a room that its users have left', async () => {
    rig = await AppserviceRig.start()
    const { server, service } = rig
    const alice = await server.register('alice')
    const ghost = await service.newUser(server, '_irc_bob')
    const roomId = await newRoom(alice, { name: 'The parlour' })
    await act(alice, 'invite', roomId, ghost)
    await send(alice, roomId, 'while invited')
    await join(ghost, roomId)
    await send(alice, roomId, 'while joined')
    await leave(ghost, roomId)
    await send(alice, roomId, 'after')
    const other = await newRoom(alice)
    await send(alice, other, 'elsewhere')
    await act(alice, 'invite', other, ghost)
    await service.until(() => service.events.some(({ room_id }) => room_id === other))
    expect(service.bodies).toEqual(['while joined'])
    const [invite] = service.events
    expect(invite).toMatchObject({ type: 'm.room.member', content: { membership: 'invite' }, state_key: ghost.userId })
    expect(invite?.unsigned.invite_room_state).toContainEqual(
      expect.objectContaining({ type: 'm.room.name', content: { name: 'The parlour' } }),
    )
    const memberships = service.events.filter(
      ({ room_id, state_key }) => room_id === roomId && state_key === ghost.userId,
    )
    expect(memberships.map(({ content }) => content.membership)).toEqual(['invite', 'join', 'leave'])
    expect(memberships[1]?.unsigned.prev_content).toMatchObject({ membership: 'invite' })
  })

  it('judges by the membership at the event, also for what happened while the service was not reached', async () => {
    const clock = manualClock()
    rig = await AppserviceRig.start({}, { clock })
    const { server, service } = rig
    const alice = await server.register('alice')
    const ghost = await service.newUser(server, '_irc_bob')
    await service.stop()
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await send(alice, roomId, 'one: not there')
    await join(ghost, roomId)
    await send(alice, roomId, 'two: there')
    await leave(ghost, roomId)
    await send(alice, roomId, 'three: not there')
    await join(ghost, roomId)
    await send(alice, roomId, 'four: there')
    await act(alice, 'kick', roomId, ghost)
    await send(alice, roomId, 'five: not there')
    await service.startAgain()
    const pings = setInterval(() => clock.advance(1_000), 5)
    await service.until(() => service.events.at(-1)?.content.membership === 'leave' && service.bodies.length === 2)
    clearInterval(pings)
    expect(service.bodies).toEqual(['two: there', 'four: there'])
  })

  it('tells hundreds of events that came while it was down, in transactions of a hundred, and nothing twice', async () => {
    const clock = manualClock()
    rig = await AppserviceRig.start({}, { clock })
    const { server, service } = rig
    const alice = await server.register('alice')
    const ghost = await service.newUser(server, '_irc_bob')
    const rooms = [await newRoom(alice, { preset: 'public_chat' }), await newRoom(alice, { preset: 'public_chat' })]
    for (const roomId of rooms) await join(ghost, roomId)
    await service.until(() => service.events.length === 2)
    await service.stop()
    const said = Array.from({ length: 480 }, (_, i) => `number ${i}`)
    for (const [i, text] of said.entries()) await send(alice, rooms[i % 2] as string, text)
    for (const roomId of rooms) await leave(ghost, roomId)
    await send(alice, rooms[0] as string, 'after')
    await service.startAgain()
    const ticks = setInterval(() => clock.advance(1_000), 5)
    await service.until(() => service.events.filter(({ content }) => content.membership === 'leave').length === 2)
    clearInterval(ticks)
    expect(service.bodies).toEqual(said)
    for (const { body } of service.transactions) expect(body.events.length).toBeLessThanOrEqual(110)
  })

  it('tells all events of rooms that match by ID or alias, whoever is in them', async () => {
    rig = await AppserviceRig.start({
      namespaces: { users: [], aliases: [{ exclusive: false, regex: '#watched.*' }], rooms: [] },
    })
    const { server, service } = rig
    const alice = await server.register('alice')
    const watched = await newRoom(alice, { room_alias_name: 'watched-1' })
    const other = await newRoom(alice, { room_alias_name: 'other' })
    await send(alice, other, 'not told')
    await send(alice, watched, 'told')
    await service.until(() => service.bodies.length > 0)
    expect(service.bodies).toEqual(['told'])
    expect(service.events[0]?.type).toBe('m.room.create')
  })

  it('takes users of other servers for none of its own, whatever the namespace says', async () => {
    rig = await AppserviceRig.start({
      namespaces: { users: [{ exclusive: false, regex: '.*alice.*' }], aliases: [], rooms: [] },
    })
    const { server, service } = rig
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const ofBob = await newRoom(bob)
    await send(bob, ofBob, 'not told')
    await send(alice, await newRoom(alice), 'told')
    await service.until(() => service.bodies.length > 0)
    expect(service.bodies).toEqual(['told'])
  })

  it('sends the same transaction with the same ID and content until it is confirmed, later ones after it', async () => {
    const clock = manualClock()
    rig = await AppserviceRig.start({}, { clock })
    const { server, service } = rig
    const alice = await server.register('alice')
    const ghost = await service.newUser(server, '_irc_bob')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(ghost, roomId)
    await service.until(() => service.events.length > 0)
    let refusals = 3
    const before = service.transactions.length
    service.answer = ({ path }) =>
      path.includes('/transactions/') && refusals-- > 0 ? { status: 500, body: { errcode: 'M_UNKNOWN' } } : undefined
    await send(alice, roomId, 'first')
    await service.until(() => service.transactions.length > before)
    await send(alice, roomId, 'second')
    const ticks = setInterval(() => clock.advance(1_000), 5)
    await service.until(() => service.bodies.includes('second'))
    clearInterval(ticks)
    const tried = service.transactions.slice(before)
    const firsts = tried.filter(({ txnId }) => txnId === tried[0]?.txnId)
    expect(firsts).toHaveLength(4)
    for (const { body } of firsts) expect(body).toEqual(firsts[0]?.body)
    expect(tried.indexOf(firsts.at(-1) as (typeof tried)[0])).toBe(3)
    expect(service.bodies).toEqual(['first', 'second'])
  })

  it('goes on after a restart: what was not confirmed comes again as it was, then what happened meanwhile', async () => {
    rig = await AppserviceRig.start()
    const { service } = rig
    const alice = await rig.server.register('alice')
    const ghost = await service.newUser(rig.server, '_irc_bob')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(ghost, roomId)
    await service.until(() => service.events.length > 0)
    let isUp = false
    service.answer = ({ path }) =>
      path.includes('/transactions/') && !isUp ? { status: 503, body: { errcode: 'M_UNKNOWN' } } : undefined
    const before = service.transactions.length
    await send(alice, roomId, 'before the stop')
    await service.until(() => service.transactions.length > before)
    const unconfirmed = service.transactions.at(-1)
    await send(alice, roomId, 'between')
    await rig.stopServer()
    isUp = true
    await rig.startServer()
    await service.until(() => service.bodies.includes('between'))
    const again = service.transactions.slice(before + 1)
    expect(again[0]).toEqual(unconfirmed)
    expect(service.bodies).toEqual(['before the stop', 'between'])
  })

  it('tries the older path where the newer one is not known', async () => {
    rig = await AppserviceRig.start()
    const { server, service } = rig
    const paths: string[] = []
    service.answer = ({ path, body }) => {
      if (!body) return undefined
      paths.push(path)
      return path.startsWith('/transactions/') ? { status: 200 } : { status: 404, body: { errcode: 'M_UNRECOGNIZED' } }
    }
    const ghost = await service.newUser(server, '_irc_bob')
    await newRoom(ghost)
    await service.until(() => paths.length >= 2)
    expect(paths[0]).toMatch(/^\/_matrix\/app\/v1\/transactions\//)
    expect(paths[1]).toBe(paths[0]?.replace('/_matrix/app/v1', ''))
  })

  it('sends nothing to a service without URL, nor to an address that the configuration does not allow', async () => {
    const clock = manualClock()
    rig = await AppserviceRig.start({}, { clock, config: { outbound: {} } })
    const { server, service } = rig
    const ghost = await service.newUser(server, '_irc_bob')
    await newRoom(ghost)
    expect(await service.api(server).post('/_matrix/client/v1/appservice/irc/ping')).toMatchObject({
      status: 502,
      body: { errcode: 'M_CONNECTION_FAILED' },
    })
    expect(service.requests).toEqual([])
    await rig[Symbol.asyncDispose]()

    rig = await AppserviceRig.start({ url: null })
    const other = await rig.service.newUser(rig.server, '_irc_bob')
    expect((await send(other, await newRoom(other), 'said')).startsWith('$')).toBe(true)
    expect(await rig.service.api(rig.server).post('/_matrix/client/v1/appservice/irc/ping')).toMatchObject({
      status: 400,
      body: { errcode: 'M_URL_NOT_SET' },
    })
  })

  it('tells state events and redactions in the form of the client API', async () => {
    rig = await AppserviceRig.start()
    const { server, service } = rig
    const ghost = await service.newUser(server, '_irc_bob')
    const roomId = await newRoom(ghost)
    await setState(ghost, roomId, 'm.room.topic', { topic: 'one' })
    const eventId = await send(ghost, roomId, 'oops')
    await ghost.api.put(roomPath(roomId, `/redact/${e(eventId)}/txn`), {})
    await service.until(() => service.events.some(({ type }) => type === 'm.room.redaction'))
    expect(service.events.find(({ type }) => type === 'm.room.topic')).toMatchObject({
      state_key: '',
      sender: ghost.userId,
      content: { topic: 'one' },
    })
    expect(service.events.at(-1)).toMatchObject({ type: 'm.room.redaction', redacts: eventId })
  })
})
