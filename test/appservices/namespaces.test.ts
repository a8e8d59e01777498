import { describe, expect, it } from 'vitest'
import { compilePattern, MAX_PATTERN_LENGTH } from '../../server/appservices/pattern.ts'
import { manualClock } from '../support/manual-clock.ts'
import { roomPath } from '../support/room-calls.ts'
import { AppserviceRig } from './rig.ts'

describe('application-service-api §Registration, namespaces', () => {
  it.each([
    ['@_irc_.*', '@_irc_bob:hearth.test', true],
    ['@_irc_', '@_irc_bob:hearth.test', true],
    ['@_irc_.*', '@alice_@_irc_bob:hearth.test', false],
    ['@irc_bob:hearth\\.test$', '@irc_bob:hearth.test', true],
    ['@irc_bob:hearth\\.test$', '@irc_bob:hearthXtest', false],
    ['@a|@b', '@b:hearth.test', true],
    ['@irc\\-.*', '@irc-bob:hearth.test', true],
    ['#_irc_.*', '#_irc_#room:hearth.test', true],
    ['.*', 'x'.repeat(256), false],
    ['@(?!alice:).*', '@bob:hearth.test', true],
    ['@(?!alice:).*', '@alice:hearth.test', false],
  ])('%s and %s', async (pattern, text, expected) => {
    expect((await compilePattern(pattern))(text)).toBe(expected)
  })

  it('takes no expression that is broken or too long', async () => {
    await expect(compilePattern('(')).rejects.toThrow(SyntaxError)
    await expect(compilePattern('x'.repeat(MAX_PATTERN_LENGTH + 1))).rejects.toThrow(RangeError)
  })

  it('is not held up by an expression that others would try in endless ways', async () => {
    const matches = await compilePattern('#(a|aa|aaa)*$')
    expect(matches(`#${'a'.repeat(200)}b`)).toBe(false)
  })
})

describe('application-service-api §Registration, rate_limited', () => {
  it.each([
    [true, 429],
    [false, 200],
  ])(
    '%s: the answer to many requests of one of its users ends with %i; its own user is not counted',
    async (limited, last) => {
      const options = { clock: manualClock(), config: { rate_limits: { enabled: true } } }
      await using rig = await AppserviceRig.start({ rate_limited: limited }, options)
      const bot = rig.service.api(rig.server)
      const ghosts = await Promise.all(
        // Registrations with the as_token are not counted either.
        Array.from({ length: 15 }, (_, i) => rig.service.newUser(rig.server, `_irc_${i}`)),
      )
      const ghost = ghosts[0]?.api
      const made = await ghost?.post<{ room_id: string }>('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
      const path = roomPath(made?.body.room_id ?? '', '/aliases')
      const join = await bot.post(`/_matrix/client/v3/join/${encodeURIComponent(made?.body.room_id ?? '')}`)
      expect(join.status).toBe(200)
      let status: number | undefined
      for (let i = 0; i < 230 && status !== 429; i += 1) status = (await ghost?.get(path))?.status
      expect(status).toBe(last)
      for (let i = 0; i < 230; i += 1) status = (await bot.get(path)).status
      expect(status).toBe(200)
    },
  )
})
