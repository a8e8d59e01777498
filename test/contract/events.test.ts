import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { faultsOfEvent, faultsOfReply } from '../support/spec-schema.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

type ClientEvent = { readonly type: string } & Record<string, unknown>

describe('data/event-schemas, the events that the server makes', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  it.each(['private_chat', 'public_chat', 'trusted_private_chat'])('fit their schemas in a %s', async (preset) => {
    const alice = await server.register(`alice_${preset}`)
    const bob = await server.register(`bob_${preset}`)
    const room = await alice.api.post<{ room_id: string }>('/_matrix/client/v3/createRoom', {
      preset,
      name: 'Kitchen',
      topic: 'What is for dinner',
      room_alias_name: preset,
      invite: [bob.userId],
    })
    expect(room.status).toBe(200)
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.body.room_id)}`
    await bob.api.post(`${path}/join`)
    const sent = await bob.api.put<{ event_id: string }>(`${path}/send/m.room.message/1`, {
      msgtype: 'm.text',
      body: 'Soup',
    })
    await alice.api.put(`${path}/redact/${encodeURIComponent(sent.body.event_id)}/2`, { reason: 'Not again' })
    await alice.api.post(`${path}/kick`, { user_id: bob.userId })

    const state = await alice.api.get<ClientEvent[]>(`${path}/state`)
    const messages = await alice.api.get<{ chunk: ClientEvent[] }>(`${path}/messages`, { dir: 'b', limit: 100 })
    const types = new Set(messages.body.chunk.map(({ type }) => type))
    expect(types).toContain('m.room.redaction')
    // A redacted event keeps less than its schema asks for.
    const whole = [...state.body, ...messages.body.chunk].filter(({ unsigned }) => !isRedacted(unsigned))
    expect(whole.flatMap((event) => faultsOfEvent(event).map((fault) => `${event.type} ${fault}`))).toEqual([])
    expect(faultsOfReply('getRoomState', state.body)).toEqual([])
    expect(faultsOfReply('getRoomEvents', messages.body)).toEqual([])
    expect(faultsOfReply('sync', (await alice.api.get('/_matrix/client/v3/sync')).body)).toEqual([])
    expect(faultsOfReply('sync', (await bob.api.get('/_matrix/client/v3/sync')).body)).toEqual([])
  })

  it('would be found out if they did not', () => {
    expect(faultsOfEvent({ type: 'm.room.name', content: {} } as ClientEvent)).not.toEqual([])
    expect(faultsOfEvent({ type: 'org.example.unknown' })).toEqual([])
  })
})

function isRedacted(unsigned: unknown): boolean {
  return typeof unsigned === 'object' && unsigned !== null && 'redacted_because' in unsigned
}
