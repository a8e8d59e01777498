import { expect, it } from 'vitest'
import { rowKey, thirdPartyIdRows } from '../../server/accounts/store.ts'
import { put } from '../../server/store/index.ts'
import { keysOf, mustSetPusher, setPusher } from '../push/rig.ts'
import { keptStore } from '../support/kept-store.ts'
import { manualClock } from '../support/manual-clock.ts'
import { startSmtp } from '../support/smtp-server.ts'
import { startTestServer } from '../support/test-server.ts'
import * as rig from '../sync/rig.ts'

const ADDRESS = 'bob@example.org'

it('client-server-api §POST /pushers/set, kind email: from the message to the end of the mails', async () => {
  const smtp = await startSmtp()
  const clock = manualClock()
  const openStore = keptStore()
  await using server = await startTestServer({
    clock,
    openStore,
    config: { mail: { smtp_url: `smtp://127.0.0.1:${smtp.port}`, from: 'Home <home@hearth.test>' } },
  })
  const alice = await server.register('alice')
  const bob = await server.register('bob')
  const roomId = await rig.createRoom(alice, { name: 'Kitchen' })
  await rig.join(bob, roomId)
  const names = { app_display_name: 'Mail', device_display_name: ADDRESS, lang: 'en' }
  const pusher = { kind: 'email', app_id: 'm.email', pushkey: ADDRESS, data: {}, ...names }
  expect((await setPusher(bob, pusher)).body.errcode).toBe('M_THREEPID_NOT_FOUND')
  const id = rowKey('email', ADDRESS)
  const proved = { id, userId: bob.userId, address: ADDRESS, validatedTs: clock.now(), addedTs: clock.now() }
  await (await openStore()).commit(() => [put(thirdPartyIdRows, proved)])
  await mustSetPusher(bob, pusher)

  await rig.say(alice, roomId, 'Dinner!')
  await expect
    .poll(() => {
      clock.advance(60_000)
      return smtp.received.length
    })
    .toBe(1)
  const source = smtp.received[0]?.source ?? ''
  expect(source).toContain('alice: Dinner!')
  const [, path] = /List-Unsubscribe:\s+<http:\/\/127\.0\.0\.1:\d+(\/[^>]+)>/.exec(source) ?? []
  const shown = await server.api().fetch(path ?? '')
  expect(await shown.text()).toContain('No more mails')
  expect(await keysOf(bob)).toEqual([ADDRESS])
  await server.api().fetch(path ?? '', { method: 'POST' })
  expect(await keysOf(bob)).toEqual([])
})
