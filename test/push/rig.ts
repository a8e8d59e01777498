/** Words for tests of pushers. */
import type { ApiReply } from '../support/api.ts'
import type { TestPushGateway } from '../support/push-gateway.ts'
import type { Person, TestServer } from '../support/test-server.ts'
import * as rig from '../sync/rig.ts'

const V3 = '/_matrix/client/v3'

export const pusherBody = (url: string, changes: Readonly<Record<string, unknown>> = {}) => ({
  kind: 'http',
  app_id: 'org.example.app',
  pushkey: 'key of the phone',
  app_display_name: 'App',
  device_display_name: 'Phone',
  lang: 'en',
  data: { url },
  ...changes,
})

export const setPusher = (
  who: Pick<Person, 'api'>,
  body: unknown,
): Promise<ApiReply<{ errcode?: string; error?: string }>> => who.api.post(`${V3}/pushers/set`, body)

export async function mustSetPusher(who: Pick<Person, 'api'>, body: unknown): Promise<void> {
  const reply = await setPusher(who, body)
  if (reply.status !== 200) throw new Error(`no pusher: ${JSON.stringify(reply.body)}`)
}

export async function pushersOf(who: Pick<Person, 'api'>): Promise<readonly Record<string, unknown>[]> {
  return (await who.api.get<{ pushers: readonly Record<string, unknown>[] }>(`${V3}/pushers`)).body.pushers
}

export const keysOf = async (who: Pick<Person, 'api'>): Promise<readonly unknown[]> =>
  (await pushersOf(who)).map(({ pushkey }) => pushkey)

export interface Two {
  readonly alice: Person
  readonly bob: Person
  readonly roomId: string
}

/** Two in a room; bob's phone is pushed to. */
export async function roomWithPusher(
  server: TestServer,
  gateway: TestPushGateway,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<Two> {
  const alice = await server.register('alice')
  const bob = await server.register('bob')
  const roomId = await rig.createRoom(alice, { name: 'Kitchen' })
  await rig.join(bob, roomId)
  await mustSetPusher(bob, pusherBody(gateway.url, changes))
  return { alice, bob, roomId }
}
