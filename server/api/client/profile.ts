import {
  deleteProfileField,
  getProfileField,
  getUserProfile,
  setProfileField,
} from '../../../shared/api/client/profile.ts'
import { forbidden, missingParam } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import {
  type Accounts,
  type RemoteProfiles,
  type Requester,
  requireNotSuspended,
  requireProfileKey,
} from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'

function requireMayChange(requester: Requester, userId: string): void {
  if (requester.userId !== userId) throw forbidden("You cannot change another user's profile")
  requireNotSuspended(requester)
}

/** @param remote profiles of users of other servers than `home` */
export const profileRoutes = (accounts: Accounts, remote: RemoteProfiles, home: string): readonly Route[] => [
  route(setProfileField, async ({ path, body, requester }) => {
    requireMayChange(requester, path.userId)
    requireProfileKey(path.keyName)
    const value = Object.hasOwn(body, path.keyName) ? body[path.keyName] : undefined
    if (value === undefined) throw missingParam('The body lacks the field that the path names')
    await accounts.setProfileField(path.userId, path.keyName, value)
    return {}
  }),

  route(getProfileField, async ({ path: { userId, keyName } }) => ({
    [keyName]: await (serverNameOf(userId) === home
      ? accounts.getProfileField(userId, keyName)
      : remote.getField(userId, keyName)),
  })),

  route(deleteProfileField, async ({ path, requester }) => {
    requireMayChange(requester, path.userId)
    await accounts.removeProfileField(path.userId, path.keyName)
    return {}
  }),

  route(getUserProfile, async ({ path: { userId } }) =>
    serverNameOf(userId) === home ? accounts.getProfile(userId) : remote.get(userId),
  ),
]
