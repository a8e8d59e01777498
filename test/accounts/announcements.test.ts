import { describe, expect, it, vi } from 'vitest'
import { newAccounts, PASSWORD } from './new-accounts.ts'

const proof = (user: string) => ({
  identifier: { type: 'm.id.user' as const, user },
  password: PASSWORD,
  ip: '192.0.2.1',
})

describe('accounts: what other slices hear', () => {
  it('tells of each device once, when it comes and when it goes', async () => {
    const { accounts, register } = newAccounts()
    const added = vi.fn()
    const removed = vi.fn()
    accounts.onDeviceAdded(added)
    accounts.onDeviceRemoved(removed)
    const { userId, deviceId } = await register('ann')
    await accounts.logIn(proof('ann'), { deviceId })
    expect(added.mock.calls).toEqual([[{ userId, deviceId }]])
    await accounts.removeDevices(userId, [deviceId, deviceId, 'NOSUCH'])
    await accounts.removeDevices(userId, [deviceId])
    expect(removed.mock.calls).toEqual([[{ userId, deviceId }]])
  })

  it('tells of a profile only where rooms show what has changed: names for single rooms survive all else', async () => {
    const { accounts, register } = newAccounts()
    const { userId } = await register('ann')
    const changed = vi.fn()
    accounts.onProfileChanged(changed)
    await accounts.setProfileField(userId, 'm.tz', 'Europe/London')
    await accounts.setProfileField(userId, 'displayname', 'Ann')
    await accounts.setProfileField(userId, 'displayname', 'Ann')
    await accounts.removeProfileField(userId, 'm.tz')
    expect(changed.mock.calls).toEqual([[{ userId, profile: { 'm.tz': 'Europe/London', displayname: 'Ann' } }]])
    await accounts.removeProfileField(userId, 'displayname')
    expect(changed).toHaveBeenCalledTimes(2)
  })

  it('tells of account data with the position at which readers find it, in the order of positions', async () => {
    const { accounts, store, register } = newAccounts()
    const { userId } = await register('ann')
    const before = store.position
    const heard: { type: string; position: number; seen: number }[] = []
    accounts.onAccountData(({ type, position }) => heard.push({ type, position, seen: store.position }))
    const places = [
      { roomId: null, type: 'a' },
      { roomId: '!r:x', type: 'b' },
      { roomId: null, type: 'c' },
    ]
    await Promise.all(places.map((place) => accounts.setAccountData({ userId, ...place, content: { at: place.type } })))
    expect(heard.map(({ type }) => type)).toEqual(['a', 'b', 'c'])
    expect(heard.every(({ position, seen }) => seen >= position)).toBe(true)

    const entries = await accounts.accountDataSince(userId, before, store.position)
    expect(entries.map(({ type, roomId, content }) => ({ type, roomId, content }))).toEqual(
      places.map(({ type, roomId }) => ({ type, roomId, content: { at: type } })),
    )
    const [, second] = heard
    expect(await accounts.accountDataSince(userId, second?.position ?? 0, store.position)).toHaveLength(1)
    expect(await accounts.accountDataSince(userId, before, second?.position ?? 0)).toHaveLength(2)
    expect(await accounts.accountDataSince('@ann2:hearth.test', 0, store.position)).toEqual([])
  })

  it('gives account data that changed twice only at its last position', async () => {
    const { accounts, store, register } = newAccounts()
    const { userId } = await register('ann')
    const first = await accounts.setAccountData({ userId, roomId: null, type: 'm.push_rules', content: { v: 1 } })
    const second = await accounts.setAccountData({ userId, roomId: null, type: 'm.push_rules', content: { v: 2 } })
    expect(await accounts.accountDataSince(userId, 0, first)).toEqual([])
    const [entry, ...others] = await accounts.accountDataSince(userId, first, store.position)
    expect(others).toEqual([])
    expect(entry).toMatchObject({ content: { v: 2 }, position: second })
    expect(await accounts.listAccountData(userId, null)).toEqual([entry])
    expect(await accounts.listAccountData(userId, '!r:x')).toEqual([])
  })

  it('tells of profiles that changed, and not of those that did not', async () => {
    const { accounts, register } = newAccounts()
    const { userId } = await register('ann')
    const heard = vi.fn()
    accounts.onProfileChanged(heard)
    await accounts.setProfileField(userId, 'displayname', 'Ann')
    await accounts.removeProfileField(userId, 'avatar_url')
    expect(heard.mock.calls).toEqual([[{ userId, profile: { displayname: 'Ann' } }]])
  })

  it('goes on telling the others where one listener fails', async () => {
    const { accounts, complaints, register } = newAccounts()
    const heard = vi.fn()
    accounts.onDeviceAdded(() => {
      throw new Error('listener broke')
    })
    accounts.onDeviceAdded(heard)
    await register('ann')
    expect(heard).toHaveBeenCalledTimes(1)
    expect(complaints).toMatchObject([{ event: 'accounts.listener_failed' }])
  })
})

describe('accounts: a changed profile', () => {
  it('is told again at the next start where a stop came before all had heard', async () => {
    const { accounts, store, register } = newAccounts()
    const { userId } = await register('ann')
    let hasHeard = false
    accounts.onProfileChanged(() => {
      hasHeard = true
      return new Promise(() => {}) // the process is killed here
    })
    await accounts.setProfileField(userId, 'displayname', 'Ann')
    expect(hasHeard).toBe(true)

    const second = newAccounts({ store })
    const heard = vi.fn(async () => {})
    second.accounts.onProfileChanged(heard)
    await second.accounts.resume()
    await vi.waitFor(() => expect(heard.mock.calls).toEqual([[{ userId, profile: { displayname: 'Ann' } }]]))
    const position = store.position
    await vi.waitFor(() => expect(store.position).toBeGreaterThan(position))

    const third = newAccounts({ store })
    third.accounts.onProfileChanged(heard)
    await third.accounts.resume()
    expect(heard).toHaveBeenCalledTimes(1)
  })
})

describe('accounts: deactivation', () => {
  it('is announced anew at each start until every listener has done its part', async () => {
    const { accounts, store, complaints, register } = newAccounts()
    const { userId } = await register('ann')
    accounts.onDeactivated(async () => {
      throw new Error('stopped half-way')
    })
    await accounts.deactivate({ userId, erase: true })
    await vi.waitFor(() => expect(complaints).toHaveLength(1))

    const second = newAccounts({ store })
    const heard = vi.fn(async () => {})
    second.accounts.onDeactivated(heard)
    await second.accounts.resume()
    expect(heard.mock.calls).toEqual([[{ userId, erase: true }]])
    const position = store.position
    await vi.waitFor(() => expect(store.position).toBeGreaterThan(position))

    const third = newAccounts({ store })
    third.accounts.onDeactivated(heard)
    await third.accounts.resume()
    expect(heard).toHaveBeenCalledTimes(1)
  })

  it('keeps account data unless the user wants it erased', async () => {
    const { accounts, register } = newAccounts()
    for (const [name, erase] of [
      ['kept', false],
      ['gone', true],
    ] as const) {
      const { userId } = await register(name)
      await accounts.setAccountData({ userId, roomId: null, type: 't', content: {} })
      await accounts.setAccountData({ userId, roomId: '!r:x', type: 't', content: {} })
      await accounts.deactivate({ userId, erase })
      const left = [
        await accounts.findAccountData(userId, null, 't'),
        await accounts.findAccountData(userId, '!r:x', 't'),
      ]
      expect(left.filter((entry) => entry !== undefined)).toHaveLength(erase ? 0 : 2)
      expect(await accounts.findAccount(userId)).toMatchObject({ isDeactivated: true })
      expect(await accounts.listDevices(userId)).toEqual([])
    }
  })

  it('refuses what comes after it', async () => {
    const { accounts, register } = newAccounts()
    const { userId } = await register('ann')
    await accounts.deactivate({ userId, erase: false })
    const forbidden = { errcode: 'M_FORBIDDEN' }
    await expect(accounts.logIn(proof('ann'), {})).rejects.toMatchObject(forbidden)
    await expect(accounts.setProfileField(userId, 'displayname', 'x')).rejects.toMatchObject(forbidden)
    await expect(
      accounts.changePassword({ userId, newPassword: 'long enough', logOut: true, keep: null }),
    ).rejects.toMatchObject(forbidden)
  })
})
