import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createPasswords } from '../../server/accounts/passwords.ts'
import { accountRows } from '../../server/accounts/store.ts'
import { newAccounts, PASSWORD } from './new-accounts.ts'

const random = { number: Math.random, bytes: (count: number) => randomBytes(count) }

describe('accounts: passwords', () => {
  it('stores the cost with the hash, and knows one made at another cost', async () => {
    const cheap = createPasswords({ random, costLog2: 8 })
    const costly = createPasswords({ random, costLog2: 9 })
    const stored = await cheap.hash('porridge')
    expect(stored).toMatch(/^scrypt\$8\$/)
    expect(await costly.matches('porridge', stored)).toBe(true)
    expect(await costly.matches('gruel', stored)).toBe(false)
    expect([costly.isOutdated(stored), cheap.isOutdated(stored)]).toEqual([true, false])
  })

  it('salts: the same password never gives the same hash', async () => {
    const passwords = createPasswords({ random, costLog2: 8 })
    expect(await passwords.hash('porridge')).not.toBe(await passwords.hash('porridge'))
  })

  it('never matches where there is no hash', async () => {
    const passwords = createPasswords({ random, costLog2: 8 })
    expect(await passwords.matches('', null)).toBe(false)
    expect(await passwords.matches('porridge', null)).toBe(false)
  })

  it('lets a flood wait in turn, refuses what would wait too long, and goes on afterwards', async () => {
    const passwords = createPasswords({ random, costLog2: 8 })
    const stored = await passwords.hash('porridge')
    const flood = await Promise.allSettled(Array.from({ length: 150 }, () => passwords.matches('porridge', stored)))
    const refused = flood.filter((result) => result.status === 'rejected')
    expect(refused.length).toBe(48)
    expect(refused[0]).toMatchObject({ reason: { errcode: 'M_LIMIT_EXCEEDED', status: 429 } })
    expect(flood.filter((result) => result.status === 'fulfilled' && result.value)).toHaveLength(102)
    expect(await passwords.matches('porridge', stored)).toBe(true)
  })

  it('renews a hash that was made at a lower cost when the password is at hand, and only then', async () => {
    const before = newAccounts({ passwordCostLog2: 8 })
    await before.register('ann')
    const costOf = async (): Promise<string | undefined> =>
      (await before.store.home.get(accountRows, '@ann:hearth.test'))?.passwordHash?.slice(0, 9)
    const { accounts } = newAccounts({ store: before.store, passwordCostLog2: 9 })
    const proof = { identifier: { type: 'm.id.user' as const, user: 'ann' }, ip: '192.0.2.1' }
    expect(await accounts.findByPassword({ ...proof, password: 'wrong' })).toBeUndefined()
    expect(await costOf()).toBe('scrypt$8$')
    expect(await accounts.findByPassword({ ...proof, password: PASSWORD })).toBe('@ann:hearth.test')
    expect(await costOf()).toBe('scrypt$9$')
    expect(await accounts.findByPassword({ ...proof, password: PASSWORD })).toBe('@ann:hearth.test')
  })
})
