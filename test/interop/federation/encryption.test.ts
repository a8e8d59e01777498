/** Hearth and Synapse: device lists, and encrypted messages between people on both. */
import {
  createClient,
  EventType,
  type ICreateClientOpts,
  type MatrixClient,
  type MatrixEvent,
  MsgType,
} from 'matrix-js-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { follow, good, join, makeRoom, membershipOf, type Person, register, type Side, until } from './side.ts'
import { bothWays, canRun, startWorld, type World } from './world.ts'

const TEST_MS = 120_000

describe.skipIf(!canRun)('Hearth and Synapse, encryption', () => {
  let world: World
  const clients: MatrixClient[] = []
  beforeAll(async () => {
    world = await startWorld()
  }, TEST_MS)
  afterAll(async () => {
    for (const client of clients) client.stopClient()
    await world?.[Symbol.asyncDispose]()
  })

  async function startClient(side: Side, person: Person): Promise<MatrixClient> {
    const options: ICreateClientOpts = {
      baseUrl: side.baseUrl,
      userId: person.userId,
      deviceId: person.deviceId,
      accessToken: person.accessToken,
    }
    const client = createClient(options)
    clients.push(client)
    await client.initRustCrypto({ useIndexedDB: false })
    await client.startClient({ initialSyncLimit: 20 })
    return client
  }

  /** Resolves with the text of the event once the client has decrypted it. */
  function heard(client: MatrixClient, roomId: string, text: string): Promise<MatrixEvent> {
    return until(`"${text}" at ${client.getUserId()}`, async () =>
      client
        .getRoom(roomId)
        ?.getLiveTimeline()
        .getEvents()
        .find((event) => event.isEncrypted() && event.getContent().body === text),
    )
  }

  describe.each(bothWays)('a room on $home, a guest from $away', ({ home: homeName, away: awayName }) => {
    it(
      'lets two people write encrypted, both ways, and a new device take part',
      async () => {
        const [home, away] = [world[homeName], world[awayName]]
        const alice = await register(home, 'alice')
        const bob = await register(away, 'bob')
        const [aliceClient, bobClient] = [await startClient(home, alice), await startClient(away, bob)]
        const roomId = await makeRoom(alice, {
          preset: 'private_chat',
          invite: [bob.userId],
          initial: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
        })
        await until('the invite', async () => bobClient.getRoom(roomId)?.getMyMembership() === 'invite' || undefined)
        await join(bob, roomId)
        await until(
          'the join',
          async () => aliceClient.getRoom(roomId)?.getMember(bob.userId)?.membership === 'join' || undefined,
        )
        await until('the room', async () => bobClient.getRoom(roomId)?.hasEncryptionStateEvent() || undefined)

        await aliceClient.sendEvent(roomId, EventType.RoomMessage, { msgtype: MsgType.Text, body: 'soup?' })
        await heard(bobClient, roomId, 'soup?')
        await bobClient.sendEvent(roomId, EventType.RoomMessage, { msgtype: MsgType.Text, body: 'soup!' })
        await heard(aliceClient, roomId, 'soup!')

        // A new device of bob's: alice's client must hear of it, and encrypt for it.
        const sync = await follow(alice)
        const login = good(
          await bob.api.post('/_matrix/client/v3/login', {
            type: 'm.login.password',
            identifier: { type: 'm.id.user', user: bob.userId },
            password: bob.password,
          }),
        )
        const second: Person = { ...bob, deviceId: String(login.device_id), accessToken: String(login.access_token) }
        const bobSecond = await startClient(away, second)
        await sync("bob's new device", ({ device_lists: lists }) => lists?.changed?.includes(bob.userId) === true)
        await until('both devices', async () => {
          const devices = await aliceClient.getCrypto()?.getUserDeviceInfo([bob.userId], true)
          return devices?.get(bob.userId)?.size === 2 || undefined
        })
        await aliceClient.sendEvent(roomId, EventType.RoomMessage, { msgtype: MsgType.Text, body: 'dessert?' })
        await heard(bobSecond, roomId, 'dessert?')
        await heard(bobClient, roomId, 'dessert?')
      },
      TEST_MS,
    )

    it(
      'tells of a changed identity and of a device that is gone',
      async () => {
        const [home, away] = [world[homeName], world[awayName]]
        const alice = await register(home, 'alice')
        const bob = await register(away, 'bob')
        const roomId = await makeRoom(alice)
        await join(bob, roomId, home.serverName)
        await until('the join', async () => (await membershipOf(alice, roomId, bob.userId)) === 'join' || undefined)
        const bobClient = await startClient(away, bob)
        const asksFor = async (): Promise<Record<string, unknown>> => {
          const reply = good(
            await alice.api.post('/_matrix/client/v3/keys/query', { device_keys: { [bob.userId]: [] } }),
          )
          return reply as Record<string, unknown>
        }
        await until("bob's device", async () => {
          const { device_keys: keys } = await asksFor()
          return Object.keys((keys as Record<string, object>)[bob.userId] ?? {}).includes(bob.deviceId) || undefined
        })
        const sync = await follow(alice)
        await bobClient.getCrypto()?.bootstrapCrossSigning({
          authUploadDeviceSigningKeys: async (upload) => {
            await upload({
              type: 'm.login.password',
              identifier: { type: 'm.id.user', user: bob.userId },
              password: bob.password,
            })
          },
        })
        await sync("bob's identity", ({ device_lists: lists }) => lists?.changed?.includes(bob.userId) === true)
        // Synapse stores them one after the other: who asks in between gets the first alone.
        const withIdentity = await until('the master key and the self-signing key', async () => {
          const reply = await asksFor()
          const [masters, selfSigning] = [reply.master_keys, reply.self_signing_keys] as Record<string, object>[]
          return masters?.[bob.userId] && selfSigning?.[bob.userId] ? reply : undefined
        })
        expect((withIdentity.user_signing_keys as Record<string, object> | undefined)?.[bob.userId]).toBeUndefined()

        const next = await follow(alice)
        bobClient.stopClient()
        good(await bob.api.post('/_matrix/client/v3/logout'))
        await next("bob's logout", ({ device_lists: lists }) => lists?.changed?.includes(bob.userId) === true)
        await until('no devices', async () => {
          const { device_keys: keys } = await asksFor()
          return Object.keys((keys as Record<string, object>)[bob.userId] ?? {}).length === 0 || undefined
        })
      },
      TEST_MS,
    )
  })
})
