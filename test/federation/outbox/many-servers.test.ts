import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OwedPdu, OwedPdus } from '../../../server/federation/index.ts'
import { idle, until } from '../../support/receiving-servers.ts'
import { OutboxRig } from './rig.ts'

const MANY = 1_000
const names = Array.from({ length: MANY }, (_, i) => `s${i}.test`)
let rig: OutboxRig
beforeEach(async () => {
  rig = await OutboxRig.startOwing(owing(1))
})
afterEach(() => rig[Symbol.asyncDispose]())

/** One room with all of them. */
function owing(count: number): OwedPdus {
  const pdus = Array.from({ length: count }, (_, i) => {
    const pdu = { type: 'm.room.message', content: { body: `m${i}` } }
    return { position: 1_000 + i, eventId: `$${i}`, pdu, json: JSON.stringify(pdu) } as unknown as OwedPdu
  })
  return {
    owedTo: async (_, after) => ({
      pdus: pdus.filter(({ position }) => position > after),
      upTo: Math.max(after, 999 + count),
      isComplete: true,
    }),
    newestOwedTo: async () => ({ pdus: pdus.slice(-1), upTo: 999 + count }),
    serversOwed: async () => new Set(),
    delivered: async () => undefined,
  }
}

describe('a room with a thousand servers', () => {
  it('is sent to in parallel, within bounds, with little work and no memory kept for those that have all', async () => {
    const before = process.cpuUsage()
    rig.outbox.pdusReady(names, 1_000)
    await until(() => names.every((name) => rig.servers.taken(name).length === 1), 'a thousand transactions')
    const { user, system } = process.cpuUsage(before)
    await idle()
    expect(rig.servers.underWay.most).toBeGreaterThan(32)
    expect(rig.servers.underWay.most).toBeLessThanOrEqual(64)
    expect(rig.outbox.stats.destinations).toBe(0)
    // Far above what it takes, far below what would hurt: 1 ms for each.
    expect((user + system) / 1_000 / MANY).toBeLessThan(1)
  })

  it('reaches those that answer, though three hundred never do', async () => {
    const silent = names.slice(0, 300)
    for (const name of silent) rig.servers.set(name, 'silent')
    rig.outbox.pdusReady(names, 1_000)
    for (let second = 0; second < 40; second += 1) await rig.pass(1_000)
    const reached = names.filter((name) => rig.servers.taken(name).length === 1)
    expect(reached).toHaveLength(700)
    expect(rig.servers.underWay.now).toBe(300)
  })

  it('writes one row for all that keep up, and one for each that does not', async () => {
    for (const name of names.slice(0, 10)) rig.servers.set(name, 'dead')
    rig.outbox.pdusReady(names, 1_000)
    await until(() => names.slice(10).every((name) => rig.servers.taken(name).length === 1))
    const written: number[] = []
    const { commit } = rig.t.store
    Object.assign(rig.t.store, {
      commit: (build: (position: number) => readonly unknown[]) =>
        commit((position) => {
          const ops = build(position) as never
          written.push((ops as readonly unknown[]).length)
          return ops
        }),
    })
    await rig.pass(6_000)
    Object.assign(rig.t.store, { commit })
    expect(written).toEqual([11])
  })
})
