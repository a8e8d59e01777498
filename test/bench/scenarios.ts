import { randomBytes, randomUUID } from 'node:crypto'
import type { BenchClient, Person } from './bench-client.ts'

/** One row of the table: prepared once, then run again and again. */
export interface Scenario {
  readonly name: string
  /** The most that Hearth may use, in CPU milliseconds for each operation; none for what is only compared. */
  readonly targetMs?: number
  /** More operations than this some servers would refuse. */
  readonly most?: number
  /** @returns the operation, and how many of them run side by side */
  prepare(client: BenchClient): Promise<{ readonly run: (worker: number) => Promise<void>; readonly workers: number }>
}

export const text = 'A message of about the length that people send each other: some eighty letters.'
export const people = (client: BenchClient, count: number): Promise<readonly Person[]> =>
  Promise.all(Array.from({ length: count }, () => client.register('bench')))
export const at = <T>(list: readonly T[], i: number): T => {
  const item = list[i % list.length]
  if (item === undefined) throw new Error('an empty list')
  return item
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'send a message, one sender',
    targetMs: 1.2,
    async prepare(client) {
      const [sender] = await people(client, 1)
      const roomId = await client.createRoom(at([sender as Person], 0))
      return { workers: 1, run: async () => void (await client.send(sender as Person, roomId, text)) }
    },
  },
  {
    name: '10 senders in 10 rooms',
    targetMs: 1.2,
    async prepare(client) {
      const senders = await people(client, 10)
      const rooms = await Promise.all(senders.map((sender) => client.createRoom(sender)))
      return {
        workers: 10,
        run: async (worker) => void (await client.send(at(senders, worker), at(rooms, worker), text)),
      }
    },
  },
  {
    name: '10 senders in one room',
    targetMs: 1.2,
    async prepare(client) {
      const senders = await people(client, 10)
      const roomId = await client.createRoom(at(senders, 0))
      for (const sender of senders.slice(1)) await client.join(sender, roomId)
      return { workers: 10, run: async (worker) => void (await client.send(at(senders, worker), roomId, text)) }
    },
  },
  {
    name: 'one message to 20 long-polling members, all woken and served',
    targetMs: 12,
    async prepare(client) {
      const members = await people(client, 20)
      const roomId = await client.createRoom(at(members, 0))
      for (const member of members.slice(1)) await client.join(member, roomId)
      const since = await Promise.all(
        members.map(async (member) => (await client.sync(member, undefined, 0)).next_batch),
      )
      const run = async (): Promise<void> => {
        let sent: string | undefined
        const polls = members.map(async (member, i) => {
          for (;;) {
            const answer = await client.sync(member, since[i], 30_000)
            since[i] = answer.next_batch
            const events = answer.rooms?.join?.[roomId]?.timeline?.events ?? []
            if (events.some((event) => event.event_id === sent || sent === undefined)) return
          }
        })
        // The polls are on their way before the message is.
        await new Promise((resolve) => setTimeout(resolve, 60))
        sent = await client.send(at(members, 0), roomId, text)
        await Promise.all(polls)
      }
      return { workers: 1, run }
    },
  },
  {
    name: 'first sync of 11 rooms',
    targetMs: 11,
    async prepare(client) {
      const [person] = await people(client, 1)
      for (let room = 0; room < 11; room += 1) {
        const roomId = await client.createRoom(person as Person)
        for (let i = 0; i < 20; i += 1) await client.send(person as Person, roomId, text)
      }
      // Another timeout each time, so that no answer comes from a cache of whole answers.
      let calls = 0
      return {
        workers: 1,
        run: async () => {
          calls += 1
          await client.sync(person as Person, undefined, calls)
        },
      }
    },
  },
  {
    name: 'empty incremental sync',
    targetMs: 0.3,
    async prepare(client) {
      const [person] = await people(client, 1)
      for (let room = 0; room < 11; room += 1) await client.createRoom(person as Person)
      const { next_batch: first } = await client.sync(person as Person, undefined, 0)
      const { next_batch } = await client.sync(person as Person, first, 0)
      return { workers: 1, run: async () => void (await client.sync(person as Person, next_batch, 0)) }
    },
  },
  {
    name: 'a page of /messages',
    targetMs: 1.5,
    async prepare(client) {
      const [person] = await people(client, 1)
      const roomId = await client.createRoom(person as Person)
      for (let i = 0; i < 400; i += 1) await client.send(person as Person, roomId, text)
      let from = ''
      return {
        workers: 1,
        run: async () => {
          const query = new URLSearchParams({ dir: 'b', limit: '50', ...(from && { from }) })
          const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages?${query}`
          const page = (await client.call('GET', path, { token: (person as Person).token })).json<{ end?: string }>()
          from = page.end ?? ''
        },
      }
    },
  },
  {
    name: 'create a room',
    targetMs: 8,
    async prepare(client) {
      const [person] = await people(client, 1)
      return {
        workers: 1,
        run: async () => void (await client.createRoom(person as Person, { preset: 'private_chat', name: 'A room' })),
      }
    },
  },
  {
    name: 'an invite with its join',
    targetMs: 5,
    async prepare(client) {
      const [host] = await people(client, 1)
      const guests = await people(client, 10)
      let done = 0
      let roomId = ''
      return {
        workers: 1,
        run: async () => {
          if (done % guests.length === 0) roomId = await client.createRoom(host as Person, { preset: 'private_chat' })
          const guest = at(guests, done)
          done += 1
          const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/invite`
          await client.call('POST', path, { token: (host as Person).token, body: { user_id: guest.userId } })
          await client.join(guest, roomId)
        },
      }
    },
  },
  {
    name: "upload of a device's keys (50 one-time keys)",
    targetMs: 2,
    // Ten times fifty keys for each of the devices: servers bound how many they keep for one.
    most: 600,
    async prepare(client) {
      const owners = await people(client, 60)
      let uploads = 0
      const run = async (): Promise<void> => {
        await uploadKeys(client, at(owners, uploads), 50)
        uploads += 1
      }
      return { workers: 1, run }
    },
  },
  {
    name: 'a claim of a one-time key',
    targetMs: 0.4,
    async prepare(client) {
      const [asker, ...owners] = await people(client, 6)
      const { token } = asker as Person
      for (const owner of owners) for (let i = 0; i < 4; i += 1) await uploadKeys(client, owner, 100)
      let claims = 0
      const run = async (): Promise<void> => {
        const { userId, deviceId } = at(owners, claims)
        claims += 1
        const body = { one_time_keys: { [userId]: { [deviceId]: 'signed_curve25519' } } }
        await client.call('POST', '/_matrix/client/v3/keys/claim', { token, body })
      }
      return { workers: 1, run }
    },
  },
  {
    name: 'a to-device message',
    targetMs: 0.4,
    async prepare(client) {
      const [sender, receiver] = await people(client, 2)
      const { userId, deviceId } = receiver as Person
      const body = { messages: { [userId]: { [deviceId]: { body: text } } } }
      return {
        workers: 1,
        run: async () =>
          void (await client.call('PUT', `/_matrix/client/v3/sendToDevice/m.bench/${randomUUID()}`, {
            token: (sender as Person).token,
            body,
          })),
      }
    },
  },
  {
    name: '5 MB up',
    targetMs: 6,
    async prepare(client) {
      const [person] = await people(client, 1)
      const bytes = randomBytes(5_000_000)
      return {
        workers: 1,
        run: async () =>
          void (await client.call('POST', '/_matrix/media/v3/upload', {
            token: (person as Person).token,
            bytes,
            type: 'application/octet-stream',
          })),
      }
    },
  },
  {
    name: '5 MB down',
    targetMs: 2,
    async prepare(client) {
      const [person] = await people(client, 1)
      const { token } = person as Person
      const upload = { token, bytes: randomBytes(5_000_000), type: 'application/octet-stream' }
      const made = (await client.call('POST', '/_matrix/media/v3/upload', upload)).json<{ content_uri: string }>()
      const path = `/_matrix/client/v1/media/download/${made.content_uri.slice('mxc://'.length)}`
      return { workers: 1, run: async () => void (await client.call('GET', path, { token })) }
    },
  },
]

async function uploadKeys(client: BenchClient, person: Person, count: number): Promise<void> {
  const signatures = { [person.userId]: { [`ed25519:${person.deviceId}`]: randomBytes(64).toString('base64') } }
  const key = (): string => randomBytes(32).toString('base64').replace(/=+$/, '')
  const one_time_keys = Object.fromEntries(
    Array.from({ length: count }, () => [`signed_curve25519:${randomUUID().slice(0, 8)}`, { key: key(), signatures }]),
  )
  const device_keys = {
    user_id: person.userId,
    device_id: person.deviceId,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: { [`curve25519:${person.deviceId}`]: key(), [`ed25519:${person.deviceId}`]: key() },
    signatures,
  }
  await client.call('POST', '/_matrix/client/v3/keys/upload', {
    token: person.token,
    body: { device_keys, one_time_keys },
  })
}
