import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { idle, until } from '../../support/receiving-servers.ts'
import { OutboxRig } from './rig.ts'

let rig: OutboxRig
beforeEach(async () => {
  rig = await OutboxRig.start('b.test', 'c.test')
})
afterEach(() => rig[Symbol.asyncDispose]())

describe('server-server-api §Transactions', () => {
  it('sends events of our users to all other servers in the room, in order, each once', async () => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    const bodies = await rig.sayMany(roomId, 20)
    await rig.had('b.test', ...bodies)
    await rig.had('c.test', ...bodies)
    await idle()
    expect(rig.servers.bodies('b.test')).toEqual(bodies)
    expect(rig.servers.bodies('c.test')).toEqual(bodies)
    expect(rig.outbox.stats.destinations).toBe(0)
  })

  it('gives a server nothing of before it came, and none of its own events', async () => {
    const roomId = await rig.roomWith('b.test')
    await rig.say(roomId, 'before')
    await rig.had('b.test', 'before')
    await rig.joinFrom('c.test', roomId)
    await rig.say(roomId, 'after')
    await rig.had('c.test', 'after')
    await rig.had('b.test', 'after')
    expect(rig.servers.bodies('c.test')).toEqual(['after'])
    const senders = rig.servers.taken('b.test').flatMap(({ pdus }) => pdus.map(({ sender }) => sender))
    expect(new Set(senders)).toEqual(new Set([rig.t.user('alice').userId]))
  })

  it('puts at most 50 PDUs and 100 EDUs into a transaction, and sends one at a time', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    const bodies = await rig.sayMany(roomId, 90)
    for (let i = 0; i < 150; i += 1) await rig.writeEdu('b.test', i)
    await idle()
    rig.servers.set('b.test', 'well')
    await rig.pass(120_000, 4)
    await rig.had('b.test', ...bodies)
    await until(() => rig.numbers('b.test').length >= 150)
    expect(rig.servers.bodies('b.test')).toEqual(bodies)
    const sent = rig.servers.taken('b.test')
    expect(rig.numbers('b.test')).toEqual(Array.from({ length: 150 }, (_, i) => i))
    for (const { pdus, edus } of sent) {
      expect(pdus.length).toBeLessThanOrEqual(50)
      expect(edus.length).toBeLessThanOrEqual(100)
    }
    expect(rig.servers.underWay.most).toBe(1)
  })

  it('tries the same transaction again under the same ID, and other ones under others', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'takesInAndIsCutOff')
    await rig.say(roomId, 'one')
    await rig.isFailing('b.test')
    await rig.say(roomId, 'two')
    await rig.pass(1_300)
    expect(rig.servers.tried('b.test')).toHaveLength(2)
    rig.servers.set('b.test', 'well')
    await rig.pass(3_000)
    await rig.had('b.test', 'two')
    const ids = rig.servers.tried('b.test').map(({ txnId }) => txnId)
    expect(ids).toHaveLength(4)
    expect(new Set(ids.slice(0, 3)).size).toBe(1)
    expect(ids[3]).not.toBe(ids[0])
  })

  it('takes 200 for success where PDUs were refused, and logs that without contents', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.refuse('b.test', 'you are not allowed to say "one"')
    await rig.say(roomId, 'one')
    await rig.say(roomId, 'two')
    await rig.had('b.test', 'one', 'two')
    await idle()
    expect(rig.servers.bodies('b.test')).toEqual(['one', 'two'])
    expect(rig.outbox.stats.destinations).toBe(0)
    const lines = rig.logged.filter(({ event }) => event === 'federation.pdus-refused')
    expect(lines.length).toBeGreaterThan(0)
    expect(JSON.stringify(lines)).not.toContain('say')
  })

  it('goes on with everybody else while one server never answers', async () => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    rig.servers.set('b.test', 'silent')
    const bodies = await rig.sayMany(roomId, 5)
    await rig.had('c.test', ...bodies)
    expect(rig.servers.taken('b.test')).toEqual([])
    expect(rig.outbox.list()).toMatchObject([{ server: 'b.test', state: 'sending', lacksEvents: true }])
  })

  it('does not wait for slow servers when it stops', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'silent')
    await rig.say(roomId, 'one')
    await until(() => rig.servers.underWay.now === 1)
    await rig.outbox[Symbol.asyncDispose]()
    expect(rig.servers.underWay.now).toBe(0)
    rig.servers.set('b.test', 'well')
    await rig.restart()
    await rig.had('b.test', 'one')
  })
})

describe('a destination that fails', () => {
  it.each([['dead'], [500], [403]] as const)(
    'is tried again after 1 s, 2 s, 4 s … up to an hour (%s)',
    async (mood) => {
      const roomId = await rig.roomWith('b.test')
      rig.servers.set('b.test', mood)
      await rig.say(roomId, 'one')
      await rig.isFailing('b.test')
      const gaps: number[] = []
      for (let tries = 2; tries <= 16; tries += 1) {
        const beforeTs = rig.t.clock.now()
        const [{ retryTs } = { retryTs: null }] = rig.outbox.list()
        rig.t.clock.advance((retryTs ?? 0) - beforeTs)
        await until(() => rig.servers.tried('b.test').length === tries && rig.outbox.list()[0]?.retryTs !== null)
        gaps.push(rig.t.clock.now() - beforeTs)
      }
      gaps.forEach((gap, i) => {
        const base = Math.min(1_000 * 2 ** i, 3_600_000)
        expect(gap).toBeGreaterThanOrEqual(base)
        expect(gap).toBeLessThanOrEqual(base * 1.2 + 1)
      })
      expect(rig.logged.filter(({ event }) => event === 'federation.destination-failing')).toHaveLength(1)
      rig.servers.set('b.test', 'well')
      await rig.pass(4_400_000)
      await rig.had('b.test', 'one')
      expect(rig.outbox.stats).toMatchObject({ destinations: 0, failing: 0 })
    },
  )

  it('is tried at once when it speaks to us', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    await rig.say(roomId, 'one')
    await rig.pass(400_000, 20)
    const tries = rig.servers.tried('b.test').length
    await rig.pass(20_000)
    expect(rig.servers.tried('b.test')).toHaveLength(tries)
    rig.servers.set('b.test', 'well')
    rig.backoff.heardFrom('b.test')
    await rig.had('b.test', 'one')
  })

  it('is not tried more often than every ten seconds, however often it speaks to us', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 500)
    await rig.say(roomId, 'one')
    await rig.pass(400_000, 20)
    const tries = rig.servers.tried('b.test').length
    for (let second = 0; second < 30; second += 1) {
      rig.outbox.heardFrom('b.test')
      await rig.pass(1_000)
    }
    const more = rig.servers.tried('b.test').length - tries
    expect(more).toBeGreaterThanOrEqual(2)
    expect(more).toBeLessThanOrEqual(4)
  })

  it('is tried soon when another one is reached after all were away: it was our own network', async () => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    rig.servers.set('b.test', 'dead')
    rig.servers.set('c.test', 'dead')
    await rig.say(roomId, 'one')
    await rig.pass(4_000_000, 40)
    rig.servers.set('b.test', 'well')
    rig.servers.set('c.test', 'well')
    rig.backoff.heardFrom('b.test')
    await rig.had('b.test', 'one')
    await rig.pass(10_000)
    await rig.had('c.test', 'one')
  })

  it('is tried at once when an administrator says so', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    await rig.say(roomId, 'one')
    await rig.pass(100_000, 10)
    rig.servers.set('b.test', 'well')
    expect(rig.outbox.list()).toMatchObject([{ server: 'b.test', state: 'failing', lacksEvents: true }])
    expect(rig.outbox.list()[0]?.why).toContain('connection refused')
    expect(rig.outbox.retry('b.test')).toBe(true)
    expect(rig.outbox.retry('nobody.test')).toBe(false)
    await rig.had('b.test', 'one')
  })

  it('gets all it missed in a short absence', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    const bodies = await rig.sayMany(roomId, 130)
    await rig.pass(60_000, 6)
    rig.servers.set('b.test', 'well')
    await rig.pass(120_000, 4)
    await rig.had('b.test', ...bodies)
    expect(rig.servers.bodies('b.test')).toEqual(bodies)
  })

  it('gets a few events all, however long it was away', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    const bodies = await rig.sayMany(roomId, 30)
    await rig.pass(10 * 86_400_000, 20)
    rig.servers.set('b.test', 'well')
    await rig.pass(4_400_000)
    await rig.had('b.test', ...bodies)
    expect(rig.servers.bodies('b.test')).toEqual(bodies)
  })

  it('gets only the newest event of each room after days with many', async () => {
    const one = await rig.roomWith('b.test')
    const two = await rig.roomWith('b.test', 'c.test')
    const quiet = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    await rig.sayMany(one, 120, 'one')
    await rig.had('c.test', ...(await rig.sayMany(two, 120, 'two')))
    await rig.pass(3 * 86_400_000, 20)
    rig.servers.set('b.test', 'well')
    await rig.pass(4_400_000)
    await rig.had('b.test', 'one119', 'two119')
    await rig.say(quiet, 'later')
    await rig.had('b.test', 'later')
    expect(rig.servers.bodies('b.test')).toEqual(['one119', 'two119', 'later'])
    expect(rig.servers.bodies('c.test')).toHaveLength(120)
  })
})

describe('a server that is not in the room any more', () => {
  it.each([
    ['here', 0],
    ['away', 600_000],
  ] as const)('is told what took its last user out, and nothing later (it was %s)', async (_, awayMs) => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    if (awayMs > 0) rig.servers.set('b.test', 'dead')
    await rig.say(roomId, 'while there')
    await rig.t.rooms.kick({ roomId, by: rig.t.user('alice').userId, target: '@bob:b.test' })
    await rig.say(roomId, 'among us')
    await rig.had('c.test', 'among us')
    await rig.pass(awayMs, 10)
    rig.servers.set('b.test', 'well')
    await rig.pass(awayMs * 2, 10)
    await rig.had('b.test', 'while there')
    await until(() =>
      rig.servers
        .taken('b.test')
        .flatMap(({ pdus }) => pdus)
        .some(({ state_key }) => state_key === '@bob:b.test'),
    )
    await idle()
    expect(rig.servers.bodies('b.test')).toEqual(['while there'])
    expect(rig.outbox.stats.destinations).toBe(0)
  })

  it('hears after a restart of what was kept for it, once', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    await rig.t.rooms.ban({ roomId, by: rig.t.user('alice').userId, target: '@bob:b.test' })
    await rig.say(roomId, 'among us')
    await rig.restartAfterKill()
    rig.servers.set('b.test', 'well')
    await rig.pass(60_000, 4)
    await until(() => rig.servers.taken('b.test').length === 1)
    await rig.pass(10_000)
    await rig.restartAfterKill()
    await idle()
    expect(rig.servers.taken('b.test')).toHaveLength(1)
    expect(rig.servers.bodies('b.test')).toEqual([])
  })
})

describe('over a stop', () => {
  it('sends again what a kill left unconfirmed, and loses nothing', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'takesInAndIsCutOff')
    await rig.say(roomId, 'one')
    await until(() => rig.servers.taken('b.test').length === 1)
    await rig.restartAfterKill()
    rig.servers.set('b.test', 'well')
    await rig.say(roomId, 'two')
    await rig.had('b.test', 'one', 'two')
    expect(rig.servers.bodies('b.test').at(-1)).toBe('two')
    const [first, second] = rig.servers.taken('b.test')
    expect(second?.pdus[0]).toEqual(first?.pdus[0])
  })

  it('finds after a kill what was said and never sent, in rooms that nobody opens', async () => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    await rig.say(roomId, 'before')
    await rig.had('b.test', 'before')
    await rig.had('c.test', 'before')
    await rig.pass(6_000)
    rig.deafen()
    const bodies = await rig.sayMany(roomId, 3, 'unsent')
    await rig.restartAfterKill()
    await rig.had('b.test', ...bodies)
    await rig.had('c.test', ...bodies)
    expect(rig.servers.bodies('b.test')).toEqual(['before', ...bodies])
  })

  it('keeps after a kill how far each server was, so that those that had all are sent nothing', async () => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    rig.servers.set('b.test', 'dead')
    await rig.say(roomId, 'one')
    await rig.had('c.test', 'one')
    await rig.pass(6_000)
    await rig.say(roomId, 'two')
    await rig.had('c.test', 'two')
    await rig.pass(6_000)
    await rig.restartAfterKill()
    rig.servers.set('b.test', 'well')
    await rig.pass(60_000, 4)
    await rig.had('b.test', 'one', 'two')
    expect(rig.servers.bodies('c.test')).toEqual(['one', 'two'])
    expect(rig.servers.bodies('b.test')).toEqual(['one', 'two'])
  })

  it('writes nothing for each message and destination', async () => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    await rig.pass(10_000)
    const before = rig.t.store.position
    const bodies = await rig.sayMany(roomId, 50)
    await rig.had('b.test', ...bodies)
    await rig.had('c.test', ...bodies)
    await rig.pass(6_000)
    // One commit for each message, and one for where the outbox stands.
    expect(rig.t.store.position - before).toBe(51)
  })
})

describe('redacted while a server was away', () => {
  it('is never sent with its content', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.servers.set('b.test', 'dead')
    const eventId = await rig.say(roomId, 'regretted')
    await rig.pass(70_000, 7)
    await rig.t.rooms.redact({ roomId, requester: rig.t.user('alice'), txnId: 'r', eventId, reason: undefined })
    rig.servers.set('b.test', 'well')
    await rig.pass(200_000, 4)
    await until(() =>
      rig.servers
        .taken('b.test')
        .flatMap(({ pdus }) => pdus)
        .some(({ type }) => type === 'm.room.redaction'),
    )
    expect(rig.servers.taken('b.test').flatMap(({ pdus }) => pdus)).toHaveLength(2)
    expect(rig.servers.bodies('b.test')).toEqual([])
  })
})
