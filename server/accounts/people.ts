import type { Store } from '../store/index.ts'
import type { Profile } from './contract.ts'
import { accountRows, appserviceUserRows, guestRows, profileRows } from './store.ts'

/** Someone with an account here, as others may know of them. */
export interface Person {
  readonly userId: string
  /** A guest, or made by an application service, or standing for it. */
  readonly isOutsider: boolean
  readonly profile: Profile
}

/** All users of this server who can be reached: neither deactivated nor locked. By user ID. */
export async function listPeople(store: Store): Promise<readonly Person[]> {
  const { home } = store
  const [accounts, ofAppservices, guests, profiles] = await Promise.all([
    home.range(accountRows, { index: 'userId' }),
    home.range(appserviceUserRows, { index: 'userId' }),
    home.range(guestRows, { index: 'userId' }),
    home.range(profileRows, { index: 'userId' }),
  ])
  const outsiders = new Set([...ofAppservices, ...guests].map(({ userId }) => userId))
  const jsonOf = new Map(profiles.map(({ userId, json }) => [userId, json]))
  return accounts
    .filter(({ isDeactivated, isLocked }) => !isDeactivated && !isLocked)
    .map(({ userId }) => ({
      userId,
      isOutsider: outsiders.has(userId),
      profile: JSON.parse(jsonOf.get(userId) ?? '{}') as Profile,
    }))
}
