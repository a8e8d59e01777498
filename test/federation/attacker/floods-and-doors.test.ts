/** What an attacker floods others with, answers without end, and asks for at the doors of rooms. */
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../../server/protocol/pdu.ts'
import { type Attacker, jsonOf } from '../../support/attacker.ts'
import { type Arena, POLL, startArena, TEST_MS } from './arena.ts'

let arena: Arena
let attacker: Attacker
beforeAll(async () => {
  arena = await startArena()
  attacker = arena.attacker
})
afterAll(() => arena[Symbol.asyncDispose]())

const sync = async (): Promise<string> =>
  JSON.stringify((await arena.alice.api.get('/_matrix/client/v3/sync', { timeout: 0 })).body)

describe('floods', () => {
  it(
    'EDUs in the name of other servers’ users are heard by nobody',
    async () => {
      const room = await arena.room()
      const event = (await arena.look(room)).last
      const { userId } = arena.bob
      await arena.unharmed(room, async () => {
        await arena.strike(
          [],
          [
            { edu_type: 'm.typing', content: { room_id: room.roomId, user_id: userId, typing: true } },
            {
              edu_type: 'm.receipt',
              content: { [room.roomId]: { 'm.read': { [userId]: { event_ids: [event.eventId], data: { ts: 7 } } } } },
            },
            {
              edu_type: 'm.presence',
              content: { push: [{ user_id: userId, presence: 'online', status_msg: 'forged' }] },
            },
            {
              edu_type: 'm.device_list_update',
              content: { user_id: userId, device_id: 'FORGED', stream_id: 1, prev_id: [] },
            },
            {
              edu_type: 'm.direct_to_device',
              content: {
                sender: userId,
                type: 'org.forged',
                message_id: 'm',
                messages: { [arena.alice.userId]: { '*': {} } },
              },
            },
          ],
          [arena.alpha],
        )
        const seen = await sync()
        for (const trace of [`"user_ids":["${userId}"]`, '"status_msg":"forged"', '"ts":7}', 'FORGED', 'org.forged']) {
          expect(seen).not.toContain(trace)
        }
      })
    },
    TEST_MS,
  )

  it(
    'thousands of EDUs, of every kind and of none, cost little; too many at once are refused as a whole',
    async () => {
      const room = await arena.room()
      await arena.unharmed(room, async () => {
        const edu = (i: number): Json => ({
          edu_type: ['m.device_list_update', 'm.direct_to_device', 'm.presence', 'none', 'm.signing_key_update'][
            i % 5
          ] as string,
          content: {
            user_id: `@u${i}:${attacker.name}`,
            device_id: `D${i}`,
            stream_id: i,
            sender: attacker.userId,
            type: 'org.flood',
            message_id: `${i}`,
            messages: { [`@nobody${i}:alpha.test`]: { '*': { i } } },
            push: [],
          },
        })
        for (let round = 0; round < 10; round += 1) {
          await arena.strike(
            [],
            Array.from({ length: 100 }, (_, i) => edu(round * 100 + i)),
          )
        }
        const many = Array.from({ length: 5_000 }, (_, i) => edu(i))
        expect((await attacker.transaction(arena.alpha, [], many)).status).toBeGreaterThanOrEqual(400)
      })
    },
    TEST_MS,
  )

  it(
    'events that all build on something else that nobody has',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      await arena.unharmed(room, async () => {
        for (let round = 0; round < 8; round += 1) {
          const events = Array.from({ length: 50 }, (_, i) =>
            attacker.forge(seen, { on: [attacker.forge(seen, { content: { body: `${round} ${i}` } })] }),
          )
          await arena.strike(events)
        }
      })
    },
    TEST_MS,
  )

  it(
    'fifty users who come and go',
    async () => {
      const room = await arena.room()
      await arena.unharmed(
        room,
        async () => {
          for (let i = 0; i < 50; i += 1) {
            const userId = attacker.user(`flood${i}`)
            await attacker.join(arena.alpha, room.roomId, userId)
            const event = await attacker.membership(arena.alpha, { roomId: room.roomId, userId, membership: 'leave' })
            expect((await attacker.send(arena.alpha, room.roomId, event, 'leave')).status).toBe(200)
          }
          // They are part of the room's state by right; what is compared is all else.
        },
        ({ state_key: stateKey }) => !stateKey?.startsWith('@flood'),
      )
    },
    TEST_MS,
  )

  it(
    'bodies that never end are cut off long before they fill the memory',
    async () => {
      const room = await arena.room()
      await arena.unharmed(room, async () => {
        const body = `{"origin":"${attacker.name}","origin_server_ts":1,"pdus":[],"x":"${'x'.repeat(40 * 1024 * 1024)}"}`
        const path = '/_matrix/federation/v1/send/huge'
        const { status } = await attacker
          .askWith(arena.alpha, { method: 'PUT', path, body })
          .catch((error: NodeJS.ErrnoException) => ({ status: /ECONNRESET|EPIPE/.test(error.code ?? '') ? 413 : 0 }))
        expect(status).toBe(413)
      })
    },
    TEST_MS,
  )
})

describe('answers', () => {
  it.each(['event', 'get_missing_events', 'state_ids'])(
    'of 10 GB to %s are cut off',
    async (operation) => {
      const room = await arena.room()
      const seen = await arena.look(room)
      let sent = 0
      let isCut = false
      await arena.unharmed(room, async () => {
        attacker.answers.set(operation, ({ response }) => {
          const chunk = Buffer.alloc(1024 * 1024, ' ')
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': 10 * 1024 ** 3 })
          const more = (): void => {
            while (!response.destroyed && sent < 10 * 1024 ** 3) {
              sent += chunk.length
              if (!response.write(chunk)) return void response.once('drain', more)
            }
          }
          response.on('close', () => {
            isCut = true
          })
          more()
          return undefined
        })
        const auth = [...seen.state.values()].filter(
          ({ pdu }) => pdu.type === 'm.room.power_levels' || pdu.type === 'm.room.create',
        )
        const unknown = attacker.forge(seen, { content: { body: 'unknown' } })
        await arena.strike([attacker.forge(seen, { on: [unknown], auth: [...auth, unknown] })], [], [arena.alpha])
        await expect.poll(() => isCut, { ...POLL, timeout: 40_000 }).toBe(true)
      })
      attacker.answers.delete(operation)
      expect(sent).toBeLessThan(256 * 1024 * 1024)
    },
    TEST_MS,
  )

  it(
    'that never come hold nobody up',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      const hanging: { end(): void }[] = []
      await arena.unharmed(room, async () => {
        for (const operation of ['event', 'get_missing_events', 'state_ids', 'event_auth']) {
          attacker.answers.set(operation, ({ response }) => void hanging.push(response))
        }
        const before = attacker.forge(seen, { content: { body: 'unknown' } })
        await arena.strike([attacker.forge(seen, { on: [before] })])
        await expect.poll(() => hanging.length, POLL).toBeGreaterThan(0)
      })
      for (const operation of ['event', 'get_missing_events', 'state_ids', 'event_auth'])
        attacker.answers.delete(operation)
      for (const response of hanging) response.end()
    },
    TEST_MS,
  )

  it(
    'that redirect to this machine are not followed',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      let visits = 0
      const inside = createServer((socket) => {
        visits += 1
        socket.destroy()
      })
      await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve))
      const { port } = inside.address() as { port: number }
      await arena.unharmed(room, async () => {
        let redirected = 0
        for (const operation of ['event', 'get_missing_events', 'state_ids']) {
          attacker.answers.set(operation, ({ response }) => {
            redirected += 1
            response.writeHead(307, { location: `https://127.0.0.1:${port}/secret` }).end()
            return undefined
          })
        }
        const before = attacker.forge(seen, { content: { body: 'unknown' } })
        await arena.strike([attacker.forge(seen, { on: [before] })])
        await expect.poll(() => redirected, POLL).toBeGreaterThan(1)
      })
      for (const operation of ['event', 'get_missing_events', 'state_ids']) attacker.answers.delete(operation)
      expect(visits).toBe(0)
      inside.close()
    },
    TEST_MS,
  )
})

describe('doors', () => {
  it(
    'no template of an attacker is signed that is another event than the join that was asked for',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      await arena.unharmed(room, async () => {
        const sent: JsonObject[] = []
        const victim = {
          room_id: '!trap:evil.test',
          sender: arena.alice.userId,
          state_key: arena.alice.userId,
          type: 'm.room.member',
        }
        const templates: readonly JsonObject[] = [
          { ...victim, type: 'm.room.power_levels', state_key: '', content: { users: { [attacker.userId]: 100 } } },
          { ...victim, room_id: room.roomId, content: { membership: 'leave' } },
          { ...victim, room_id: room.roomId, content: { membership: 'join' } },
          { ...victim, sender: arena.bob.userId, state_key: arena.bob.userId, content: { membership: 'join' } },
          { ...victim, content: { membership: 'ban' } },
        ]
        attacker.answers.set('send_join', ({ body }) => {
          sent.push(JSON.parse(body) as JsonObject)
          return { state: [], auth_chain: [], origin: attacker.name, event: JSON.parse(body) as unknown }
        })
        for (const event of templates) {
          const links = { auth_events: [], prev_events: [seen.last.eventId], depth: 5, origin_server_ts: 1 }
          attacker.answers.set('make_join', () => ({ room_version: '11', event: { ...event, ...links } }))
          const path = `/_matrix/client/v3/join/${encodeURIComponent('!trap:evil.test')}?via=evil.test`
          expect((await arena.alice.api.post(path, {})).status).toBeGreaterThanOrEqual(400)
        }
        for (const event of sent) {
          expect(event).toMatchObject({ ...victim, content: { membership: 'join' } })
        }
      })
      for (const operation of ['make_join', 'send_join']) attacker.answers.delete(operation)
    },
    TEST_MS,
  )

  it(
    'a signed request is of no use to whoever has overheard it, at another home or for another path',
    async () => {
      const room = await arena.room('11', {}, false)
      const uri = '/_matrix/federation/v1/send/replay'
      const content = { origin: attacker.name, origin_server_ts: 1, pdus: [], edus: [] }
      const authorization = attacker.foreign.authorization({ method: 'PUT', uri, destination: 'alpha.test', content })
      const call = (home: Arena['alpha'], path: string, body: unknown) =>
        arena.homes.call(home, path, { method: 'PUT', headers: { authorization }, body: JSON.stringify(body) })
      await arena.unharmed(room, async () => {
        expect((await call(arena.beta, uri, content)).status).toBe(401)
        expect((await call(arena.alpha, `${uri}2`, content)).status).toBe(401)
        expect((await call(arena.alpha, uri, { ...content, pdus: [{}] })).status).toBe(401)
        expect((await call(arena.alpha, uri, content)).status).toBe(200)
        expect((await call(arena.alpha, uri, content)).status).toBe(200)
      })
    },
    TEST_MS,
  )

  it(
    'keys that it publishes for other servers are nobody’s',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      const { key } = attacker.foreign
      await arena.unharmed(room, async () => {
        attacker.foreign.document = (own) => ({ ...own, server_name: 'alpha.test' })
        attacker.answers.set('query', () => ({
          server_keys: [
            {
              server_name: 'beta.test',
              verify_keys: { [key.keyId]: { key: key.publicKey } },
              valid_until_ts: 9e15,
              signatures: {},
            },
          ],
        }))
        const forged = attacker.forge(seen, { sender: '@root:beta.test', signedAs: { name: 'beta.test', key } })
        await arena.strike([
          forged,
          jsonOf(attacker.forge(seen, { sender: arena.bob.userId, signedAs: { name: 'beta.test', key } })),
        ])
        expect(await arena.seen(arena.alice, room)).not.toContain(forged.eventId)
        attacker.foreign.document = (own) => own
      })
      attacker.answers.delete('query')
    },
    TEST_MS,
  )

  it(
    'a flood of invites ends after some',
    async () => {
      const room = await arena.room()
      await arena.unharmed(room, async () => {
        const seen = await arena.look(room)
        const statuses = new Set<number>()
        for (let i = 0; i < 40; i += 1) {
          const spam = { ...seen, roomId: `!spam${i}:evil.test` }
          const event = attacker.forge(spam, {
            type: 'm.room.member',
            stateKey: arena.alice.userId,
            content: { membership: 'invite' },
          })
          const path = `/_matrix/federation/v2/invite/${encodeURIComponent(spam.roomId)}/${encodeURIComponent(event.eventId)}`
          const { status } = await attacker.ask(arena.alpha, 'PUT', path, {
            room_version: '11',
            event: jsonOf(event),
            invite_room_state: [],
          })
          statuses.add(status)
        }
        expect([...statuses].sort()).toEqual([200, 429])
      })
    },
    TEST_MS,
  )
})
