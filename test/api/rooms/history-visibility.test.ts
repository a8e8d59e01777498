import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  act,
  bodies,
  type ClientEvent,
  history,
  join,
  leave,
  messages,
  newRoom,
  roomPath,
  send,
  setState,
} from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
let alice: Person
let count = 0
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

const newcomer = (): Promise<Person> => {
  count += 1
  return server.register(`bob${count}`)
}
const setVisibility = (roomId: string, history_visibility: string) =>
  setState(alice, roomId, 'm.room.history_visibility', { history_visibility })
const roomWith = (history_visibility: string) =>
  newRoom(alice, {
    preset: 'private_chat',
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility } }],
  })
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
const mayRead = async (by: Person, roomId: string, eventId: string): Promise<boolean> =>
  (await by.api.get(roomPath(roomId, `/event/${encodeURIComponent(eventId)}`))).status === 200

/** By value: what one sees after having left, and after having come back. */
const rows = [
  ['world_readable', ['before', 'invited', 'joined', 'left'], ['before', 'invited', 'joined', 'left', 'again', 'back']],
  ['shared', ['before', 'invited', 'joined'], ['before', 'invited', 'joined', 'left', 'again', 'back']],
  ['invited', ['invited', 'joined'], ['invited', 'joined', 'again', 'back']],
  ['joined', ['joined'], ['joined', 'back']],
] as const

describe('client-server-api §Room History Visibility', () => {
  it.each(rows)('%s: what is seen through invite, join, leave and return', async (value, left, back) => {
    const bob = await newcomer()
    const roomId = await roomWith(value)
    await send(alice, roomId, 'before')
    await act(alice, 'invite', roomId, bob)
    await send(alice, roomId, 'invited')
    if (value !== 'world_readable') expect(await messages(bob, roomId)).toMatchObject(forbidden)
    await join(bob, roomId)
    await send(alice, roomId, 'joined')
    await leave(bob, roomId)
    await send(alice, roomId, 'left')
    expect(await bodies(bob, roomId)).toEqual(left)
    await act(alice, 'invite', roomId, bob)
    await send(alice, roomId, 'again')
    await join(bob, roomId)
    await send(alice, roomId, 'back')
    expect(await bodies(bob, roomId)).toEqual(back)
  })

  it.each(rows)('%s: an invite that is taken back opens nothing for long, nor does a ban', async (value, left) => {
    const bob = await newcomer()
    const roomId = await roomWith(value)
    await send(alice, roomId, 'before')
    await act(alice, 'invite', roomId, bob)
    await send(alice, roomId, 'invited')
    await act(alice, 'kick', roomId, bob)
    const uninvited = await send(alice, roomId, 'left')
    expect(await mayRead(bob, roomId, uninvited)).toBe(value === 'world_readable')
    await act(alice, 'invite', roomId, bob)
    await join(bob, roomId)
    await send(alice, roomId, 'joined')
    await act(alice, 'ban', roomId, bob)
    const banned = await send(alice, roomId, 'banned')
    expect(await mayRead(bob, roomId, banned)).toBe(value === 'world_readable')
    const seen = value === 'shared' ? ['before', 'invited', 'left', 'joined'] : left
    const expected = value === 'world_readable' ? ['before', 'invited', 'left', 'joined', 'banned'] : seen
    expect(await bodies(bob, roomId)).toEqual(expected)
  })

  const values = ['world_readable', 'shared', 'invited', 'joined'] as const
  const transitions = values.flatMap((from) => values.filter((to) => to !== from).map((to) => [from, to] as const))
  it.each(transitions)('from %s to %s: each event goes by what held when it was sent', async (from, to) => {
    const bob = await newcomer()
    const carol = await newcomer()
    const roomId = await roomWith(from)
    await send(alice, roomId, 'old')
    const { event_id: change } = (await setVisibility(roomId, to)).body
    await send(alice, roomId, 'new')
    const isOpen = (value: string) => value === 'world_readable'
    // Who never was in the room sees what was open, and a change of visibility if it was open before or after it.
    expect(await mayRead(carol, roomId, change)).toBe(isOpen(from) || isOpen(to))
    await act(alice, 'invite', roomId, bob)
    await join(bob, roomId)
    const isShown = (value: string) => value === 'world_readable' || value === 'shared'
    const expected = [...(isShown(from) ? ['old'] : []), ...(isShown(to) ? ['new'] : [])]
    expect(await bodies(bob, roomId)).toEqual(expected)
    const seen = (await history(bob, roomId)).some(({ event_id }) => event_id === change)
    expect(seen).toBe(isShown(from) || isShown(to))
  })

  it('always shows a user the events of their own join and of their leaving', async () => {
    const bob = await newcomer()
    const roomId = await roomWith('joined')
    await act(alice, 'invite', roomId, bob)
    await join(bob, roomId)
    await act(alice, 'kick', roomId, bob)
    const own = (await history(bob, roomId)).filter(({ state_key }) => state_key === bob.userId)
    expect(own.map(({ content }: ClientEvent) => content.membership)).toEqual(['join', 'leave'])
  })
})
