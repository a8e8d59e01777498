import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PolicyServers } from '../../server/policy/index.ts'
import { signedText } from '../../server/protocol/hashes.ts'
import type { Pdu } from '../../server/protocol/pdu.ts'
import { getRoomVersion } from '../../server/protocol/room-versions.ts'
import { signText } from '../../server/protocol/signing.ts'
import { MatrixError } from '../../shared/matrix/errors.ts'
import { peersOf, type RemoteServer, remoteKey, remoteServer } from '../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

const key = remoteKey(3)
const policyKey = remoteKey(9)
const POLICY = { via: 'policy.test', public_keys: { ed25519: policyKey.publicKey } }

/** A policy server that is asked, with what it makes of each event. */
let asked: Pdu[]
let answer: (pdu: Pdu) => Promise<Record<string, Record<string, string>>>
const signature = (pdu: Pdu, by = policyKey) => signText(signedText(pdu, getRoomVersion('12')), by)
const signed = async (pdu: Pdu, by = policyKey) => ({
  'policy.test': { 'ed25519:policy_server': signature(pdu, by) },
})
const policyServers: PolicyServers = {
  sign(serverName, pdu) {
    expect(serverName).toBe('policy.test')
    asked.push(pdu)
    return answer(pdu)
  },
}

let t: TestRooms
let policy: RemoteServer
let roomId: string
const alice = () => t.user('alice')
async function start(options: { readonly policyServers?: PolicyServers }): Promise<void> {
  const peers = peersOf([{ name: 'policy.test', key }])
  t = await startTestRooms({ peers, ...options })
  policy = remoteServer(t.rooms, 'policy.test', key)
  roomId = await t.rooms.createRoom({ creator: alice().userId, preset: 'public_chat', room_version: '12' })
}
async function newest(): Promise<string> {
  using view = await t.rooms.open(roomId)
  const [event] = await view.timeline({ limit: 1, direction: 'backward' })
  return event?.eventId ?? ''
}
beforeEach(() => {
  asked = []
  answer = signed
})
afterEach(() => t[Symbol.asyncDispose]())

let txn = 0
const say = (body: string) =>
  t.rooms.send({
    roomId,
    requester: alice(),
    txnId: `p${++txn}`,
    type: 'm.room.message',
    content: { msgtype: 'm.text', body },
  })
const setPolicy = (content: object) =>
  t.rooms.setState({
    roomId,
    requester: alice(),
    type: 'm.room.policy',
    stateKey: '',
    content: content as typeof POLICY,
  })
const joinPolicy = async () => policy.join(roomId, policy.user('bot'), [await newest()])
async function pduOf(eventId: string): Promise<Pdu> {
  using view = await t.rooms.open(roomId)
  const event = await view.find(eventId)
  if (!event) throw new Error('no such event')
  return event.pdu
}

describe('server-server-api §Policy Servers', () => {
  it('has each event of ours signed by the policy server of another home before it is sent', async () => {
    await start({ policyServers })
    await joinPolicy()
    await setPolicy(POLICY)
    expect(asked).toEqual([])
    const eventId = await say('checked')
    expect(asked).toHaveLength(1)
    const pdu = await pduOf(eventId)
    expect(pdu.signatures).toEqual({
      ...asked[0]?.signatures,
      'policy.test': { ...asked[0]?.signatures?.['policy.test'], 'ed25519:policy_server': signature(pdu) },
    })
    // State, too; but not what takes the policy server away.
    await t.rooms.setState({ roomId, requester: alice(), type: 'm.room.name', stateKey: '', content: { name: 'N' } })
    expect(asked).toHaveLength(2)
    await setPolicy({})
    await say('unchecked')
    expect(asked).toHaveLength(2)
  })

  it('is not used while nobody of it is joined, or the room names no key', async () => {
    await start({ policyServers })
    await setPolicy(POLICY)
    await say('nobody joined')
    await joinPolicy()
    await say('joined')
    expect(asked).toHaveLength(1)
    await expect(setPolicy({ via: 'policy.test' })).rejects.toMatchObject({ errcode: 'M_BAD_JSON' })
  })

  it('gives its refusal to the client, and sends nothing', async () => {
    await start({ policyServers })
    await joinPolicy()
    await setPolicy(POLICY)
    const before = await newest()
    answer = () => Promise.reject(new MatrixError('M_FORBIDDEN', 400, 'The message appears to contain possible spam'))
    await expect(say('spam')).rejects.toMatchObject({
      status: 400,
      message: 'The message appears to contain possible spam',
    })
    answer = () => Promise.reject(new Error('timed out'))
    await expect(say('unreachable')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN', status: 403 })
    answer = (pdu) => signed(pdu, remoteKey(10))
    await expect(say('another key')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    answer = async () => ({})
    await expect(say('no signature')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect(await newest()).toBe(before)
  })

  it('fails where no policy server can be reached, instead of passing', async () => {
    await start({})
    await joinPolicy()
    await setPolicy(POLICY)
    await expect(say('unchecked')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN', status: 403 })
    await setPolicy({})
    await say('free again')
  })

  it('soft-fails what others send without its signature, after asking for one', async () => {
    await start({ policyServers })
    const joined = await joinPolicy()
    await setPolicy(POLICY)
    const on = [await newest()]
    expect(joined).toBeDefined()
    const message = (body: string) => ({
      roomId,
      sender: policy.user('bot'),
      type: 'm.room.message',
      content: { msgtype: 'm.text', body },
      on,
    })
    expect((await policy.send(message('asked for'))).reception.outcome).toBe('accepted')
    expect(asked).toHaveLength(1)
    answer = () => Promise.reject(new MatrixError('M_FORBIDDEN', 400, 'no'))
    expect((await policy.send(message('refused'))).reception.outcome).toBe('softFailed')
    const built = await policy.build(message('brings it'))
    const pdu = {
      ...built.pdu,
      signatures: {
        'policy.test': { ...built.pdu.signatures?.['policy.test'], 'ed25519:policy_server': signature(built.pdu) },
      },
    }
    asked = []
    const reception = await t.rooms.receive({ roomId, json: pdu as never, from: 'policy.test' })
    expect(reception.outcome).toBe('accepted')
    expect(asked).toEqual([])
  })
})
