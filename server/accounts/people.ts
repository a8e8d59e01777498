import type { Store } from '../store/index.ts'
import type { Profile } from './contract.ts'
import { accountRows, appserviceUserRows, profileRows } from './store.ts'

/** Someone with an account here, as others may know of them. */
export interface Person {
  readonly userId: string
  /** Made by an application service, or standing for it: nobody of the household. */
  readonly isOfAppservice: boolean
  readonly profile: Profile
}

/** All users of this server who can be reached: neither deactivated nor locked. By user ID. */
export async function listPeople(store: Store): Promise<readonly Person[]> {
  const { home } = store
  const [accounts, ofAppservices, profiles] = await Promise.all([
    home.range(accountRows, { index: 'userId' }),
    home.range(appserviceUserRows, { index: 'userId' }),
    home.range(profileRows, { index: 'userId' }),
  ])
  const bridged = new Set(ofAppservices.map(({ userId }) => userId))
  const jsonOf = new Map(profiles.map(({ userId, json }) => [userId, json]))
  return accounts
    .filter(({ isDeactivated, isLocked }) => !isDeactivated && !isLocked)
    .map(({ userId }) => ({
      userId,
      isOfAppservice: bridged.has(userId),
      profile: JSON.parse(jsonOf.get(userId) ?? '{}') as Profile,
    }))
}
