import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LinkedServer, type LinkedServers, startLinkedRooms } from '../support/linked-rooms.ts'
import { type RemoteServer, remoteKey, remoteServer } from '../support/remote-server.ts'

let linked: LinkedServers
let alpha: LinkedServer
let beta: LinkedServer
let gone: RemoteServer
let roomId: string
beforeEach(async () => {
  linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: '11' })
  const [first, second] = linked.servers
  if (!first || !second) throw new Error('two servers')
  alpha = first
  beta = second
  linked.keys.set('gone.test', remoteKey(90))
  gone = remoteServer(alpha.rooms, 'gone.test', remoteKey(90))
  roomId = await alpha.rooms.createRoom({ creator: alpha.test.user('alice').userId, preset: 'public_chat' })
})
afterEach(() => linked[Symbol.asyncDispose]())

/** From now on nobody answers for its keys. */
function goes(): void {
  linked.keys.delete('gone.test')
  linked.vouchedKeys.set('gone.test', remoteKey(90))
}

async function newest(): Promise<string> {
  using view = await alpha.rooms.open(roomId)
  const [event] = await view.timeline({ limit: 1, direction: 'backward' })
  return event?.eventId ?? ''
}

/** What is said in the room by a user of the server that goes then, before anybody of beta.test is there. */
async function saidBeforeItWent(): Promise<void> {
  const ghost = gone.user('ghost')
  const joinId = await gone.join(roomId, ghost, [await newest()])
  const { reception } = await gone.send({
    roomId,
    sender: ghost,
    type: 'm.room.message',
    content: { msgtype: 'm.text', body: 'boo' },
    on: [joinId],
  })
  expect(reception.outcome).toBe('accepted')
  goes()
}

const join = () =>
  beta.rooms.join({ roomId, userId: beta.test.user('bob').userId, isGuest: false, via: ['alpha.test'] })

async function bodies(): Promise<readonly unknown[]> {
  const { chunk } = await beta.rooms.readPage(
    { roomId, userId: beta.test.user('bob').userId, deviceId: null },
    {
      from: undefined,
      to: undefined,
      direction: 'backward',
      limit: 50,
      filter: { limit: undefined, lazyLoadMembers: false, passesRoom: () => true, passes: () => true },
    },
  )
  return chunk.map((text) => (JSON.parse(text) as { content: { body?: unknown } }).content.body).filter(Boolean)
}

async function memberships(): Promise<readonly string[]> {
  using view = await beta.rooms.open(roomId)
  return [...view.state.ofType('m.room.member').keys()].sort()
}

describe('server-server-api §Retrieving server keys, of servers that are gone', () => {
  it('takes the word of the server that lets us in for its members, and in the history that it gives', async () => {
    await saidBeforeItWent()
    await join()
    await beta.rooms.choresDone()
    expect(await memberships()).toEqual(['@alice:alpha.test', '@bob:beta.test', '@ghost:gone.test'])
    expect(await bodies()).toEqual(['boo'])
  })

  it('takes nothing of the sort in the history of a server whose users have no power over the room', async () => {
    await saidBeforeItWent()
    await alpha.rooms.setState({
      roomId,
      requester: alpha.test.user('alice'),
      type: 'm.room.power_levels',
      stateKey: '',
      content: { users: { '@alice:alpha.test': 50 }, events: { 'm.room.power_levels': 100 } },
    })
    await join()
    await beta.rooms.choresDone()
    expect(await memberships()).toEqual(['@alice:alpha.test', '@bob:beta.test', '@ghost:gone.test'])
    expect(await bodies()).toEqual([])
  })
})
