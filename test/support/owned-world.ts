/** Somebody with one of each thing that an account may own, and a picture of it all for finding out what has changed. */
import { newRoom, roomPath, send } from './room-calls.ts'
import type { Person, TestServer } from './test-server.ts'

const V3 = '/_matrix/client/v3'
const DELAYED = '/_matrix/client/unstable/org.matrix.msc4140'
const e = encodeURIComponent

export interface OwnedWorld {
  readonly owner: Person
  /** What goes into a path for each of its parameters; by operation where one name means different things. */
  pathValue(name: string, operationId: string): string
  /** Everything of the owner's that must stay as it is, as JSON. */
  picture(): Promise<string>
}

/** @param rooms what differs from a private room that nobody else is in */
export async function makeOwnedWorld(
  server: TestServer,
  owner: Person,
  wish: Readonly<Record<string, unknown>> = {},
): Promise<OwnedWorld> {
  const { api, userId, deviceId } = owner
  const user = `${V3}/user/${e(userId)}`
  async function made(reply: Promise<{ status: number; body: Record<string, unknown> }>): Promise<string> {
    const { status, body } = await reply
    if (status !== 200) throw new Error(`the world is not whole: ${status} ${JSON.stringify(body)}`)
    const [first] = Object.values(body)
    return String(first)
  }

  const alias = `things-of-${e(userId.slice(1).replace(/:.*/, ''))}`
  const roomId = await newRoom(owner, { preset: 'private_chat', name: 'Private', room_alias_name: alias, ...wish })
  const eventId = await send(owner, roomId, 'a secret')
  const filterId = await made(api.post(`${user}/filter`, { room: { timeline: { limit: 1 } } }))
  await made(api.put(`${user}/account_data/org.example.diary`, { text: 'dear diary' }))
  await made(api.put(`${user}/rooms/${e(roomId)}/account_data/org.example.diary`, { text: 'in this room' }))
  await made(api.put(`${user}/rooms/${e(roomId)}/tags/m.favourite`, { order: 0.5 }))
  await made(api.put(`${V3}/profile/${e(userId)}/displayname`, { displayname: 'Owner' }))
  await made(
    api.put(`${V3}/pushrules/global/underride/org.example.mine`, {
      conditions: [{ kind: 'event_match', key: 'type', pattern: 'org.example.never' }],
      actions: ['notify'],
    }),
  )
  await made(
    api.post(`${V3}/pushers/set`, {
      kind: 'http',
      app_id: 'org.example.app',
      pushkey: 'pushkey',
      app_display_name: 'App',
      device_display_name: 'Phone',
      lang: 'en',
      data: { url: 'https://push.example.org/_matrix/push/v1/notify' },
    }),
  )
  const version = await made(
    api.post(`${V3}/room_keys/version`, {
      algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2',
      auth_data: { public_key: 'abcdefg', signatures: {} },
    }),
  )
  await made(
    api.put(
      `${V3}/room_keys/keys/${e(roomId)}/session`,
      {
        first_message_index: 0,
        forwarded_count: 0,
        is_verified: true,
        session_data: { ephemeral: 'a', ciphertext: 'b', mac: 'c' },
      },
      { version },
    ),
  )
  const upload = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'a picture' }
  const uploaded = (await (await api.fetch('/_matrix/media/v3/upload', upload)).json()) as { content_uri: string }
  const pending = (await api.post<{ content_uri: string }>('/_matrix/media/v1/create')).body
  const mediaIdOf = (uri: string): string => uri.split('/').at(-1) ?? ''
  const delayId = await made(
    api.put(`${DELAYED}/rooms/${e(roomId)}/delayed_event/m.room.message/later`, {
      delay_ms: 3_600_000,
      content: { msgtype: 'm.text', body: 'later' },
    }),
  )

  const values: Readonly<Record<string, string>> = {
    userId,
    deviceId,
    roomId,
    roomIdOrAlias: roomId,
    roomAlias: `#${alias}:${server.serverName}`,
    eventId,
    filterId,
    version,
    delayId,
    serverName: server.serverName,
    mediaId: mediaIdOf(uploaded.content_uri),
    sessionId: 'session',
    type: 'org.example.diary',
    tag: 'm.favourite',
    kind: 'underride',
    ruleId: 'org.example.mine',
    keyName: 'displayname',
    receiptType: 'm.read',
    relType: 'm.annotation',
    eventType: 'm.room.message',
    stateKey: '',
    action: 'cancel',
    fileName: 'name',
    txnId: 'another',
    protocol: 'irc',
    networkId: 'network',
    idpId: 'idp',
  }
  const perOperation: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    uploadContentToMXC: { mediaId: mediaIdOf(pending.content_uri) },
    setRoomStateWithKey: { eventType: 'm.room.name' },
    getRoomStateWithKey: { eventType: 'm.room.name' },
  }
  const looks: readonly string[] = [
    `${V3}/sync?full_state=true&timeout=0`,
    `${V3}/devices`,
    `${V3}/pushers`,
    `${V3}/pushrules/`,
    `${user}/filter/${filterId}`,
    `${V3}/room_keys/version`,
    `${V3}/room_keys/keys?version=${version}`,
    `${V3}/profile/${e(userId)}`,
    `${V3}/account/3pid`,
    `${DELAYED}/delayed_events`,
    `/_matrix/client/v1/media/download/${server.serverName}/${values.mediaId}`,
    `/_matrix/client/v1/media/download/${server.serverName}/${mediaIdOf(pending.content_uri)}?timeout_ms=0`,
    roomPath(roomId, '/aliases'),
    `${V3}/directory/list/room/${e(roomId)}`,
  ]
  return {
    owner,
    pathValue: (name, operationId) => perOperation[operationId]?.[name] ?? values[name] ?? 'unknown',
    async picture() {
      const seen: string[] = []
      for (const look of looks) {
        const reply = await api.fetch(look)
        if (reply.status >= 400 && !look.includes('timeout_ms=0')) throw new Error(`no picture of ${look}`)
        seen.push(`${look.split('?')[0]} ${reply.status} ${await steady(reply)}`)
      }
      return seen.join('\n')
    },
  }
}

/** Without what passes by itself: ages, batch tokens, when somebody was last seen, who is online. */
async function steady(reply: Response): Promise<string> {
  const text = await reply.text()
  if (!reply.headers.get('content-type')?.startsWith('application/json')) return text
  const passing = new Set(['age', 'next_batch', 'prev_batch', 'last_seen_ts', 'last_seen_ip', 'presence'])
  return JSON.stringify(JSON.parse(text), (key, value: unknown) => (passing.has(key) ? undefined : value))
}
