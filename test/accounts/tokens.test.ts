import { describe, expect, it } from 'vitest'
import { openMemoryStore } from '../support/memory-store.ts'
import { newAccounts, PASSWORD } from './new-accounts.ts'

const seen = { ip: '192.0.2.1', userAgent: 'Lantern/1.0' }
const proof = { identifier: { type: 'm.id.user' as const, user: 'ann' }, password: PASSWORD, ip: seen.ip }
const unknown = { errcode: 'M_UNKNOWN_TOKEN', status: 401 }

describe('client-server-api §Using access tokens: the store and the memory', () => {
  it('never holds a token in clear', async () => {
    const memory = openMemoryStore()
    const written: string[] = []
    const store = {
      ...memory,
      get position() {
        return memory.position
      },
      commit: (build: Parameters<typeof memory.commit>[0]) =>
        memory.commit((position) => {
          const ops = build(position)
          written.push(JSON.stringify(ops))
          return ops
        }),
    }
    const { accounts } = newAccounts({ store })
    const { session } = await accounts.register({
      username: 'ann',
      password: PASSWORD,
      session: { wantsRefreshToken: true },
    })
    const fresh = await accounts.refresh(session?.refreshToken ?? '')
    const text = written.join('\n')
    for (const secret of [
      session?.accessToken,
      session?.refreshToken,
      fresh.accessToken,
      fresh.refreshToken,
      PASSWORD,
    ]) {
      expect(secret).toBeTruthy()
      expect(text).not.toContain(secret)
    }
  })

  it('answers for a token in use without reading the store', async () => {
    const memory = openMemoryStore()
    let reads = 0
    const home = {
      ...memory.home,
      get: ((collection, key) => {
        reads += 1
        return memory.home.get(collection, key)
      }) as typeof memory.home.get,
    }
    const store = { ...memory, home, position: 0 }
    const { accounts, register } = newAccounts({ store })
    const { accessToken, userId, deviceId } = await register('ann')
    const first = await accounts.authenticate(accessToken, seen)
    const before = reads
    const second = await accounts.authenticate(accessToken, seen)
    expect(reads).toBe(before)
    expect(second).toEqual(first)
    expect(second).toMatchObject({ userId, deviceId, isAdmin: false, isGuest: false })
    expect(JSON.stringify(second)).not.toContain(accessToken)
  })

  it('forgets a token that is revoked while it is being looked up', async () => {
    const memory = openMemoryStore()
    const gate = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    let isGated = false
    const home = {
      ...memory.home,
      get: (async (collection, key) => {
        const row = await memory.home.get(collection, key)
        if (isGated && collection.name === 'accounts') {
          reached.resolve()
          await gate.promise
        }
        return row
      }) as typeof memory.home.get,
    }
    const { accounts, register } = newAccounts({ store: { ...memory, home, position: 0 } })
    const { accessToken, userId, deviceId } = await register('ann')
    isGated = true
    const lookup = accounts.authenticate(accessToken, seen)
    await reached.promise
    await accounts.removeDevices(userId, [deviceId])
    gate.resolve()
    await expect(lookup).rejects.toMatchObject(unknown)
    await expect(accounts.authenticate(accessToken, seen)).rejects.toMatchObject(unknown)
  })

  it('leaves one token of a device where two log in with its ID at the same time', async () => {
    const { accounts, register } = newAccounts()
    await register('ann')
    const sessions = await Promise.all([1, 2, 3].map(() => accounts.logIn(proof, { deviceId: 'SAME' })))
    const results = await Promise.allSettled(
      sessions.map(({ accessToken }) => accounts.authenticate(accessToken, seen)),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
  })

  it('refuses the ID of a cross-signing key as a device ID', async () => {
    const { accounts, register } = newAccounts()
    await register('ann')
    accounts.guardDeviceIds(async (userId, deviceId) => userId === '@ann:hearth.test' && deviceId === 'KEY')
    await expect(accounts.logIn(proof, { deviceId: 'KEY' })).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
      status: 403,
    })
    await expect(accounts.logIn(proof, { deviceId: 'OTHER' })).resolves.toMatchObject({ deviceId: 'OTHER' })
  })

  it('does not bring a removed device back when what was seen of it is written', async () => {
    const { accounts, store, clock, register } = newAccounts()
    const { accessToken, userId, deviceId } = await register('ann')
    await accounts.authenticate(accessToken, seen)
    await accounts.removeDevices(userId, [deviceId])
    clock.advance(600_000)
    await accounts[Symbol.asyncDispose]()
    expect(await newAccounts({ store }).accounts.findDevice(userId, deviceId)).toBeUndefined()
    await accounts.logIn(proof, { deviceId })
    expect(await accounts.findDevice(userId, deviceId)).toMatchObject({ lastSeenTs: null, lastSeenIp: null })
  })
})
