import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { TestAppservice } from '../support/app-service.ts'
import { startHomes } from '../support/homes.ts'
import { newRoom, roomPath } from '../support/room-calls.ts'

it('tells a bridge that its bot is invited to a room of another home, also after a restart, and lets it come in', async () => {
  await using owned = new AsyncDisposableStack()
  const service = owned.use(await TestAppservice.start())
  const folder = await mkdtemp(join(tmpdir(), 'hearth-bridge-'))
  owned.defer(() => rm(folder, { recursive: true, force: true }))
  const configOf = { 'beta.test': { application_services_dir: await service.register(folder) } }
  const homes = owned.use(await startHomes(['alpha.test', 'beta.test'], { configOf }))
  const [alpha, beta] = [homes[0], homes[1]]
  const alice = await alpha.register('alice')
  const bot = '@_irc_bot:beta.test'
  const invite = async (name: string): Promise<string> => {
    const roomId = await newRoom(alice, { preset: 'private_chat', name })
    expect((await alice.api.post(roomPath(roomId, '/invite'), { user_id: bot })).status).toBe(200)
    return roomId
  }
  const isTold = (roomId: string) => () => service.events.some(({ room_id }) => room_id === roomId)

  const first = await invite('First')
  await service.until(isTold(first))
  expect(service.events.find(({ room_id }) => room_id === first)).toMatchObject({
    type: 'm.room.member',
    sender: alice.userId,
    state_key: bot,
    content: { membership: 'invite' },
    unsigned: { invite_room_state: expect.arrayContaining([expect.objectContaining({ content: { name: 'First' } })]) },
  })

  await service.stop()
  const second = await invite('Second')
  await beta.restart()
  await service.startAgain()
  await service.until(isTold(second))
  const joined = await beta.api(service.asToken).post(roomPath(second, '/join'), {})
  expect(joined.status).toBe(200)
}, 60_000)
