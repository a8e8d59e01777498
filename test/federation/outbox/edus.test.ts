import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DURABLE_LIMITS } from '../../../server/federation/outbox/durable-edus.ts'
import { idle, until } from '../../support/receiving-servers.ts'
import { OutboxRig } from './rig.ts'

let rig: OutboxRig
beforeEach(async () => {
  rig = await OutboxRig.start('b.test', 'c.test')
})
afterEach(() => rig[Symbol.asyncDispose]())

const typing = (is: boolean) => ({ edu_type: 'm.typing', content: { n: is } })
const receipt = (n: number) => ({ edu_type: 'm.receipt', content: { n } })

describe('EDUs that must not be lost', () => {
  it('reach their destination in order, also when they were written before a kill', async () => {
    rig.servers.set('b.test', 'dead')
    for (let n = 0; n < 5; n += 1) await rig.writeEdu('b.test', n)
    await rig.isFailing('b.test')
    await rig.restartAfterKill()
    rig.servers.set('b.test', 'well')
    await rig.writeEdu('b.test', 5)
    await until(() => rig.numbers('b.test').length >= 6)
    expect(rig.numbers('b.test')).toEqual([0, 1, 2, 3, 4, 5])
    await idle()
    await rig.restartAfterKill()
    await idle()
    expect(rig.numbers('b.test')).toHaveLength(6)
  })

  it('are sent where they were committed and the outbox was never told', async () => {
    const op = rig.outbox.writeEdu('b.test', { edu_type: 'm.signing_key_update', content: { n: 1 } })
    await rig.t.store.commit(() => [op])
    await rig.restartAfterKill()
    await until(() => rig.numbers('b.test').length === 1)
  })

  it('take the place of earlier ones of their key that have not been sent', async () => {
    rig.servers.set('b.test', 'dead')
    await rig.writeEdu('b.test', 0)
    await rig.isFailing('b.test')
    for (let n = 1; n <= 20; n += 1) await rig.writeEdu('b.test', n, n % 2 === 0 ? 'even' : 'odd')
    await rig.pass(70_000, 7)
    rig.servers.set('b.test', 'well')
    await rig.pass(100_000, 2)
    await until(() => rig.numbers('b.test').length === 3)
    expect(rig.numbers('b.test')).toEqual([0, 19, 20])
  })

  it('are not lost when a later one of the same key comes while they are on their way', async () => {
    rig.servers.set('b.test', 'takesInAndIsCutOff')
    await rig.writeEdu('b.test', 1, 'same')
    await rig.isFailing('b.test')
    await rig.writeEdu('b.test', 2, 'same')
    rig.servers.set('b.test', 'well')
    await rig.pass(1_300)
    await until(() => rig.numbers('b.test').includes(2))
    await idle()
    await rig.restartAfterKill()
    await idle()
    expect(rig.numbers('b.test').at(-1)).toBe(2)
    expect(rig.numbers('b.test').filter((n) => n === 2)).toHaveLength(1)
  })

  it('are bounded for each destination, the oldest of those with keys first, and that is logged', async () => {
    rig.servers.set('b.test', 'dead')
    const ops = [rig.outbox.writeEdu('b.test', { edu_type: 'm.direct_to_device', content: { n: -1 } })]
    for (let n = 0; n < DURABLE_LIMITS.keyed + 10; n += 1) {
      ops.push(rig.outbox.writeEdu('b.test', { edu_type: 'm.device_list_update', content: { n } }, `user ${n}`))
    }
    await rig.t.store.commit(() => ops)
    rig.outbox.edusReady(['b.test'])
    await until(() => rig.logged.some(({ event }) => event === 'federation.edus-dropped'))
    expect(rig.logged.find(({ event }) => event === 'federation.edus-dropped')).toMatchObject({
      destination: 'b.test',
      eduTypes: ['m.device_list_update'],
    })
    rig.servers.set('b.test', 'well')
    rig.outbox.retry('b.test')
    await rig.pass(100_000, 20)
    await until(() => rig.numbers('b.test').length >= DURABLE_LIMITS.keyed)
    const numbers = rig.numbers('b.test')
    expect(numbers).toContain(-1)
    expect(numbers).toContain(DURABLE_LIMITS.keyed + 9)
  })

  it('do not hold up others where one cannot be signed', async () => {
    const op = rig.outbox.writeEdu('b.test', { edu_type: 'm.direct_to_device', content: { text: '\ud800' } })
    await rig.t.store.commit(() => [op])
    await rig.writeEdu('b.test', 1)
    await until(() => rig.numbers('b.test').includes(1))
    expect(rig.outbox.stats.failing).toBe(0)
  })
})

describe('EDUs that may be lost', () => {
  it('are sent once, the newest of each key', async () => {
    rig.outbox.offerEdu('b.test', receipt(1), 'one', 1_000)
    rig.outbox.offerEdu('b.test', receipt(2), 'two', 1_000)
    rig.outbox.offerEdu('b.test', receipt(3), 'one', 1_000)
    await idle()
    expect(rig.numbers('b.test')).toEqual([])
    await rig.pass(1_000)
    expect(rig.numbers('b.test')).toEqual([2, 3])
    expect(rig.outbox.stats.destinations).toBe(0)
  })

  it('wait no longer than the one that may wait least, and also while something else is sent', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.outbox.offerEdu('b.test', receipt(1), 'one', 60_000)
    rig.outbox.offerEdu('b.test', receipt(2), 'two', 2_000)
    rig.outbox.offerEdu('b.test', receipt(3), 'three', 30_000)
    await rig.pass(2_000)
    expect(rig.numbers('b.test')).toEqual([1, 2, 3])
    await rig.say(roomId, 'hello')
    await until(() => rig.servers.underWay.now === 1)
    rig.outbox.offerEdu('b.test', receipt(4), 'one', 5_000)
    await rig.had('b.test', 'hello')
    await idle()
    expect(rig.numbers('b.test')).toEqual([1, 2, 3])
    await rig.pass(5_000)
    expect(rig.numbers('b.test')).toEqual([1, 2, 3, 4])
    expect(rig.outbox.stats.destinations).toBe(0)
  })

  it('go with what is sent to the server anyway', async () => {
    const roomId = await rig.roomWith('b.test')
    rig.outbox.offerEdu('b.test', receipt(1), 'one', 60_000)
    await rig.say(roomId, 'hello')
    await rig.had('b.test', 'hello')
    expect(rig.servers.taken('b.test')).toMatchObject([{ pdus: [{}], edus: [{ edu_type: 'm.receipt' }] }])
  })

  it('are the same again and count anew, where a user types, stops and types again', async () => {
    for (const is of [true, false, true]) {
      rig.outbox.offerEdu('b.test', typing(is), 'typing')
      await idle()
    }
    expect(rig.numbers('b.test')).toEqual([true, false, true])
    expect(new Set(rig.servers.taken('b.test').map(({ txnId }) => txnId)).size).toBe(3)
  })

  it('are dropped when the server stays away, but for the last receipt of each key', async () => {
    rig.servers.set('b.test', 'dead')
    rig.outbox.offerEdu('b.test', typing(true), 'typing')
    for (let n = 1; n <= 5; n += 1) rig.outbox.offerEdu('b.test', receipt(n), 'receipt')
    await rig.pass(130_000, 26)
    rig.outbox.offerEdu('b.test', receipt(6), 'receipt')
    rig.servers.set('b.test', 'well')
    await rig.pass(400_000, 8)
    await until(() => rig.numbers('b.test').length > 0)
    expect(rig.numbers('b.test')).toEqual([6])
  })

  it('do not fill the memory, however many are offered', async () => {
    rig.servers.set('b.test', 'dead')
    for (let n = 0; n < 10_000; n += 1) rig.outbox.offerEdu('b.test', receipt(n), `key ${n}`)
    await idle()
    expect(rig.outbox.list()).toMatchObject([{ server: 'b.test' }])
    expect(rig.outbox.list()[0]?.edus).toBeLessThanOrEqual(200)
  })

  it('are sent when a server that was away speaks to us', async () => {
    rig.servers.set('b.test', 'dead')
    rig.outbox.offerEdu('b.test', receipt(1), 'receipt')
    await rig.pass(600_000, 30)
    rig.servers.set('b.test', 'well')
    rig.backoff.heardFrom('b.test')
    await until(() => rig.numbers('b.test').length === 1)
  })
})

describe('servers that are not sent to', () => {
  it('are ourselves and those that are blocked', async () => {
    rig.blocked.add('b.test')
    const roomId = await rig.roomWith('b.test', 'c.test')
    await rig.say(roomId, 'hello')
    rig.outbox.offerEdu('b.test', receipt(1), 'receipt')
    rig.outbox.offerEdu('hearth.test', receipt(1), 'receipt')
    await rig.had('c.test', 'hello')
    await idle()
    expect(rig.servers.tried('b.test')).toEqual([])
    expect(rig.servers.tried('hearth.test')).toEqual([])
    expect(rig.outbox.stats.destinations).toBe(0)
  })
})
