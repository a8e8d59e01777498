import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Rig, type ServerProcess } from '../process/server-process.ts'
import { createApi } from '../support/api.ts'
import { TestAppservice } from '../support/app-service.ts'
import { newRoom, send } from '../support/room-calls.ts'

let rig: Rig
let service: TestAppservice
beforeEach(async () => {
  rig = await Rig.make()
  service = await TestAppservice.start()
})
afterEach(async () => {
  await rig[Symbol.asyncDispose]()
  await service[Symbol.asyncDispose]()
})

describe('application-service-api §Pushing events, after SIGKILL', () => {
  it('repeats what was not confirmed as it was, and loses nothing that was', async () => {
    const config = await rig.configure({
      application_services_dir: await service.register(rig.folder),
      outbound: { allow_addresses: ['127.0.0.0/8'] },
      rate_limits: { enabled: false },
    })
    const start = async (): Promise<{ process: ServerProcess; baseUrl: string }> => {
      const process = rig.start(config)
      const [listener] = await process.ready()
      return { process, baseUrl: `http://127.0.0.1:${listener?.port}` }
    }
    let isUp = false
    service.answer = () => (isUp ? undefined : { status: 503, body: { errcode: 'M_UNKNOWN' } })

    const first = await start()
    const bot = { userId: '@_irc_bot:alpha.test', deviceId: '', accessToken: service.asToken }
    const person = (baseUrl: string) => ({ ...bot, api: createApi(baseUrl, service.asToken) })
    const roomId = await newRoom(person(first.baseUrl))
    await service.until(() => service.transactions.length > 0)
    const unconfirmed = service.transactions[0]
    const said = Array.from({ length: 30 }, (_, i) => `message ${i}`)
    for (const text of said) await send(person(first.baseUrl), roomId, text)
    first.process.signalGroup('SIGKILL')
    await first.process.exited

    const before = service.transactions.length
    isUp = true
    const second = await start()
    await send(person(second.baseUrl), roomId, 'after')
    await service.until(() => service.bodies.includes('after'))
    expect(service.transactions[before]).toEqual(unconfirmed)
    expect(service.bodies).toEqual([...said, 'after'])
    expect(service.events[0]?.type).toBe('m.room.create')
  })
})
