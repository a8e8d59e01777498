import {
  deleteProfileField,
  getProfileField,
  getUserProfile,
  setProfileField,
} from '../../../shared/api/client/profile.ts'
import { forbidden, missingParam } from '../../../shared/matrix/errors.ts'
import { type Accounts, type Requester, requireNotSuspended, requireProfileKey } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'

function requireMayChange(requester: Requester, userId: string): void {
  if (requester.userId !== userId) throw forbidden("You cannot change another user's profile")
  requireNotSuspended(requester)
}

export const profileRoutes = (accounts: Accounts): readonly Route[] => [
  route(setProfileField, async ({ path, body, requester }) => {
    requireMayChange(requester, path.userId)
    requireProfileKey(path.keyName)
    const value = Object.hasOwn(body, path.keyName) ? body[path.keyName] : undefined
    if (value === undefined) throw missingParam('The body lacks the field that the path names')
    await accounts.setProfileField(path.userId, path.keyName, value)
    return {}
  }),

  route(getProfileField, async ({ path }) => ({
    [path.keyName]: await accounts.getProfileField(path.userId, path.keyName),
  })),

  route(deleteProfileField, async ({ path, requester }) => {
    requireMayChange(requester, path.userId)
    await accounts.removeProfileField(path.userId, path.keyName)
    return {}
  }),

  route(getUserProfile, async ({ path }) => accounts.getProfile(path.userId)),
]
