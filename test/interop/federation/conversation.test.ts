/** Hearth and Synapse: what is said in a room and shown of people, both ways round. */
import { randomBytes } from 'node:crypto'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  arrived,
  follow,
  good,
  inPath,
  join,
  makeRoom,
  membershipOf,
  type Person,
  register,
  type SentEvent,
  type Side,
  send,
  setState,
  until,
} from './side.ts'
import { bothWays, canRun, startWorld, type World } from './world.ts'

const TEST_MS = 120_000

describe.skipIf(!canRun)('Hearth and Synapse, what is said and shown', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  }, TEST_MS)
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  describe.each(bothWays)('a room on $home, a guest from $away', ({ home: homeName, away: awayName }) => {
    let home: Side
    let away: Side
    let alice: Person
    let bob: Person
    let roomId: string

    beforeAll(async () => {
      home = world[homeName]
      away = world[awayName]
      alice = await register(home, 'alice')
      bob = await register(away, 'bob')
      roomId = await makeRoom(alice)
      await join(bob, roomId, home.serverName)
      await until('the join', async () => (await membershipOf(alice, roomId, bob.userId)) === 'join' || undefined)
    }, TEST_MS)

    const room = (): string => `/_matrix/client/v3/rooms/${inPath(roomId)}`

    it(
      'has messages in the same order on both',
      async () => {
        const sent: string[] = []
        for (let i = 0; i < 10; i += 1) {
          const [from, to] = i % 2 === 0 ? [alice, bob] : [bob, alice]
          const eventId = await send(from, roomId, `message ${i}`)
          await arrived(to, roomId, eventId)
          sent.push(eventId)
        }
        for (const reader of [alice, bob]) {
          const { chunk } = good(
            await reader.api.get<{ chunk: SentEvent[] }>(`${room()}/messages`, { dir: 'b', limit: 10 }),
          )
          expect(chunk.map(({ event_id }) => event_id).reverse()).toEqual(sent)
        }
      },
      TEST_MS,
    )

    it(
      'loses nothing when many speak at once',
      async () => {
        const sent = await Promise.all(
          Array.from({ length: 60 }, (_, i) => send(i % 2 === 0 ? alice : bob, roomId, `at once ${i}`)),
        )
        for (const reader of [alice, bob]) for (const eventId of sent) await arrived(reader, roomId, eventId)
      },
      TEST_MS,
    )

    it(
      'takes back what was said, on both',
      async () => {
        for (const [from, to] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const eventId = await send(from, roomId, 'a slip')
          await arrived(to, roomId, eventId)
          good(
            await from.api.put(`${room()}/redact/${inPath(eventId)}/${randomBytes(4).toString('hex')}`, {
              reason: 'oops',
            }),
          )
          await until('the redaction', async () => {
            const { content } = await arrived(to, roomId, eventId)
            return Object.keys(content).length === 0 || undefined
          })
        }
      },
      TEST_MS,
    )

    it(
      'hands out 500 events of its past, in order',
      async () => {
        const old = await makeRoom(alice)
        const sent: string[] = []
        for (let i = 0; i < 500; i += 1) sent.push(await send(alice, old, `old ${i}`))
        await join(bob, old, home.serverName)
        const seen: string[] = []
        let from: string | undefined
        await until('the first message', async () => {
          const { chunk, end } = good(
            await bob.api.get<{ chunk: SentEvent[]; end?: string }>(
              `/_matrix/client/v3/rooms/${inPath(old)}/messages`,
              {
                dir: 'b',
                limit: 100,
                ...(from !== undefined && { from }),
              },
            ),
          )
          for (const event of chunk) if (event.type === 'm.room.message') seen.push(event.event_id)
          const isOver = end === undefined || chunk.some(({ type }) => type === 'm.room.create')
          from = end
          return isOver || undefined
        })
        expect(seen.reverse()).toEqual(sent)
      },
      TEST_MS,
    )

    it(
      'finds an event of its past by its time, and what was around it',
      async () => {
        const old = await makeRoom(alice)
        const first = await send(alice, old, 'the first')
        const { origin_server_ts: ts } = await arrived(alice, old, first)
        for (let i = 0; i < 30; i += 1) await send(alice, old, `later ${i}`)
        await join(bob, old, home.serverName)
        const found = good(
          await bob.api.get(`/_matrix/client/v1/rooms/${inPath(old)}/timestamp_to_event`, { ts, dir: 'f' }),
        )
        expect(found.event_id).toBe(first)
        const context = good(
          await bob.api.get(`/_matrix/client/v3/rooms/${inPath(old)}/context/${inPath(first)}`, { limit: 4 }),
        )
        expect((context.event as SentEvent).content.body).toBe('the first')
      },
      TEST_MS,
    )

    it(
      'shows who types, and that they have stopped',
      async () => {
        for (const [from, to] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const sync = await follow(to)
          const typing = async (wanted: readonly string[]) =>
            sync('typing', ({ rooms }) => {
              const events = rooms?.join?.[roomId]?.ephemeral.events ?? []
              return events.some(
                ({ type, content }) =>
                  type === 'm.typing' && JSON.stringify(content.user_ids) === JSON.stringify(wanted),
              )
            })
          const path = `${room()}/typing/${inPath(from.userId)}`
          good(await from.api.put(path, { typing: true, timeout: 20_000 }))
          await typing([from.userId])
          good(await from.api.put(path, { typing: false }))
          await typing([])
        }
      },
      TEST_MS,
    )

    it(
      'shows what was read, and keeps private receipts to itself',
      async () => {
        for (const [from, to] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const eventId = await send(to, roomId, 'read me')
          await arrived(from, roomId, eventId)
          const sync = await follow(to)
          good(await from.api.post(`${room()}/receipt/m.read.private/${inPath(eventId)}`, {}))
          good(await from.api.post(`${room()}/receipt/m.read/${inPath(eventId)}`, {}))
          const seen = await sync('the receipt', ({ rooms }) =>
            JSON.stringify(rooms?.join?.[roomId]?.ephemeral ?? '').includes('"m.read"'),
          )
          const receipt = seen.rooms?.join?.[roomId]?.ephemeral.events.find(({ type }) => type === 'm.receipt')
          expect(receipt?.content[eventId]).toMatchObject({ 'm.read': { [from.userId]: {} } })
          expect(JSON.stringify(receipt)).not.toContain('m.read.private')
        }
      },
      TEST_MS,
    )

    it(
      'shows who is there, and what they are doing',
      async () => {
        for (const [from, to] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const sync = await follow(to)
          const status = `busy ${randomBytes(3).toString('hex')}`
          good(
            await from.api.put(`/_matrix/client/v3/presence/${inPath(from.userId)}/status`, {
              presence: 'online',
              status_msg: status,
            }),
          )
          await sync('the presence', ({ presence }) =>
            (presence?.events ?? []).some(
              ({ sender, content }) => sender === from.userId && content.status_msg === status,
            ),
          )
        }
      },
      TEST_MS,
    )

    it(
      'asks the other server for a profile, and hears of a new name in the room',
      async () => {
        for (const [from, to] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const displayname = `Name ${randomBytes(3).toString('hex')}`
          good(await from.api.put(`/_matrix/client/v3/profile/${inPath(from.userId)}/displayname`, { displayname }))
          const profile = good(await to.api.get(`/_matrix/client/v3/profile/${inPath(from.userId)}`))
          expect(profile.displayname).toBe(displayname)
          await until('the new name', async () => {
            const reply = good(
              await to.api.get<{ joined: Record<string, { display_name?: string }> }>(`${room()}/joined_members`),
            )
            return reply.joined[from.userId]?.display_name === displayname || undefined
          })
        }
        const nobody = await bob.api.get(`/_matrix/client/v3/profile/${inPath(`@nobody:${home.serverName}`)}`)
        expect(nobody.status).toBe(404)
      },
      TEST_MS,
    )

    it(
      'is found by its alias',
      async () => {
        const name = `kitchen${randomBytes(4).toString('hex')}`
        const named = await makeRoom(alice, { alias: name })
        const alias = `#${name}:${home.serverName}`
        const found = good(await bob.api.get(`/_matrix/client/v3/directory/room/${inPath(alias)}`))
        expect(found.room_id).toBe(named)
        expect(found.servers).toContain(home.serverName)
        expect(await join(bob, alias)).toBe(named)
        const missing = await bob.api.get(`/_matrix/client/v3/directory/room/${inPath(`#none:${home.serverName}`)}`)
        expect(missing.status).toBe(404)
      },
      TEST_MS,
    )

    it(
      'is found in the directory of its server',
      async () => {
        const name = `Listed ${randomBytes(4).toString('hex')}`
        const listed = await makeRoom(alice, { name, isListed: true })
        for (const ask of [
          () => bob.api.get<PublicRooms>('/_matrix/client/v3/publicRooms', { server: home.serverName, limit: 100 }),
          () =>
            bob.api.post<PublicRooms>(
              '/_matrix/client/v3/publicRooms',
              { limit: 10, filter: { generic_search_term: name } },
              { server: home.serverName },
            ),
        ]) {
          // Synapse counts members a little later.
          await until('the room in the directory', async () => {
            const { chunk } = good(await ask())
            const shown = chunk.find(({ room_id }) => room_id === listed)
            return (shown?.name === name && shown.num_joined_members === 1) || undefined
          })
        }
      },
      TEST_MS,
    )

    it(
      'has pictures that are fetched from the other server, whole and small',
      async () => {
        for (const [from, to] of [
          [alice, bob],
          [bob, alice],
        ] as const) {
          const picture = await sharp({ create: { width: 640, height: 480, channels: 3, background: '#b45309' } })
            .png()
            .toBuffer()
          const uploaded = await from.api.fetch('/_matrix/media/v3/upload?filename=soup.png', {
            method: 'POST',
            headers: { 'content-type': 'image/png' },
            body: new Uint8Array(picture),
          })
          const { content_uri: uri } = (await uploaded.json()) as { content_uri: string }
          const [, serverName, mediaId] = /^mxc:\/\/([^/]+)\/(.+)$/.exec(uri) ?? []
          const path = `${inPath(serverName ?? '')}/${mediaId}`
          const whole = await to.api.fetch(`/_matrix/client/v1/media/download/${path}`)
          expect(whole.status).toBe(200)
          expect(whole.headers.get('content-type')).toBe('image/png')
          expect(Buffer.from(await whole.arrayBuffer()).equals(picture)).toBe(true)
          const small = await to.api.fetch(`/_matrix/client/v1/media/thumbnail/${path}?width=96&height=96&method=crop`)
          expect(small.status).toBe(200)
          const { width, height } = await sharp(Buffer.from(await small.arrayBuffer())).metadata()
          expect(Math.max(width ?? 0, height ?? 0)).toBeLessThanOrEqual(320)
          const missing = await to.api.fetch(
            `/_matrix/client/v1/media/download/${inPath(serverName ?? '')}/none${mediaId}`,
          )
          expect(missing.status).toBe(404)
        }
      },
      TEST_MS,
    )

    it(
      'is a space whose rooms are listed from the other server',
      async () => {
        const space = await makeRoom(alice, { name: 'Family', isSpace: true })
        const child = await makeRoom(alice, { name: 'Garden' })
        await setState(alice, space, 'm.space.child', { via: [home.serverName] }, child)
        await join(bob, space, home.serverName)
        const { rooms } = await until('the hierarchy', async () => {
          const found = good(
            await bob.api.get<{ rooms: { room_id: string; name?: string }[] }>(
              `/_matrix/client/v1/rooms/${inPath(space)}/hierarchy`,
            ),
          )
          return found.rooms.length === 2 ? found : undefined
        })
        expect(rooms.map(({ name }) => name)).toEqual(['Family', 'Garden'])
      },
      TEST_MS,
    )

    it(
      'has state that either may change where they may',
      async () => {
        await setState(alice, roomId, 'm.room.power_levels', {
          ...good(await alice.api.get(`${room()}/state/m.room.power_levels`)),
          events: { 'm.room.topic': 0 },
        })
        await until('the power', async () => {
          const reply = await bob.api.put(`${room()}/state/m.room.topic`, { topic: 'by bob' })
          return reply.status === 200 || undefined
        })
        await until('the topic', async () => {
          const { topic } = good(await alice.api.get(`${room()}/state/m.room.topic`))
          return topic === 'by bob' || undefined
        })
        const refused = await bob.api.put(`${room()}/state/m.room.name`, { name: 'not his' })
        expect(refused.status).toBe(403)
      },
      TEST_MS,
    )
  })
})

interface PublicRooms {
  readonly chunk: readonly { readonly room_id: string; readonly name?: string; readonly num_joined_members: number }[]
}
