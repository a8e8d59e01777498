import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Rig, type ServerProcess } from '../process/server-process.ts'
import { createApi } from '../support/api.ts'
import { TestPushGateway } from '../support/push-gateway.ts'
import type { Person } from '../support/test-server.ts'
import { createRoom, join, say } from '../sync/rig.ts'
import { keysOf, mustSetPusher, pusherBody } from './rig.ts'

let rig: Rig
let gateway: TestPushGateway
beforeEach(async () => {
  rig = await Rig.make()
  gateway = await TestPushGateway.start()
})
afterEach(async () => {
  await rig[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

describe('push-gateway-api §Homeserver behaviour, after SIGKILL', () => {
  it('keeps the pusher, and tells what the gateway has not taken', async () => {
    const config = await rig.configure({
      registration: { open: true },
      outbound: { allow_addresses: ['127.0.0.0/8'] },
      rate_limits: { enabled: false },
    })
    const start = async (): Promise<{ process: ServerProcess; baseUrl: string }> => {
      const process = rig.start(config)
      const [listener] = await process.ready()
      return { process, baseUrl: `http://127.0.0.1:${listener?.port}` }
    }
    const register = async (baseUrl: string, username: string): Promise<Person> => {
      const { body } = await createApi(baseUrl).post<Record<'user_id' | 'device_id' | 'access_token', string>>(
        '/_matrix/client/v3/register',
        { username, password: 'a long password', auth: { type: 'm.login.dummy' } },
      )
      const { user_id: userId, device_id: deviceId, access_token: accessToken } = body
      return { userId, deviceId, accessToken, api: createApi(baseUrl, accessToken) }
    }

    const first = await start()
    const alice = await register(first.baseUrl, 'alice')
    const bob = await register(first.baseUrl, 'bob')
    const roomId = await createRoom(alice)
    await join(bob, roomId)
    await mustSetPusher(bob, pusherBody(gateway.url))
    gateway.answer = () => ({ status: 503 })
    await say(alice, roomId, 'one')
    await say(alice, roomId, 'two')
    first.process.signalGroup('SIGKILL')
    await first.process.exited

    gateway.requests.length = 0
    gateway.answer = () => ({ status: 200, body: { rejected: [] } })
    const second = await start()
    await gateway.until(() => gateway.bodies.includes('two'))
    expect(gateway.bodies).toEqual(['one', 'two'])
    expect(await keysOf({ api: createApi(second.baseUrl, bob.accessToken) })).toEqual(['key of the phone'])
  })
})
