import { forbidden, missingParam } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { remove, type Store } from '../store/index.ts'
import type { Devices, Planned } from './devices.ts'
import { userLocked } from './errors.ts'
import { accountRows, guestRows } from './store.ts'
import type { Tokens } from './tokens.ts'
import { userIdForUsername } from './usernames.ts'

/** Accounts without a password that live from one login to the end of its token. Spec: client-server-api §Guest Access. */
export interface Guests {
  /** By user ID. */
  list(): Promise<readonly string[]>
  /**
   * The guest who wants to become a full account.
   * @param username the localpart of the guest's user ID
   * @throws MatrixError 400 M_MISSING_PARAM, M_INVALID_USERNAME; 403 M_FORBIDDEN where the token is not of a guest of this name;
   * 401 M_USER_LOCKED
   */
  requireUpgradable(username: string | undefined, guestAccessToken: string): Promise<string>
  /**
   * The end of a guest, in the commit that gives the account its password. The guest's session ends with it, unless its device goes on in
   * the new one: whoever saw a guest's token must not hold one of a full account.
   * @param next device of the new session; `null`: there is none, so the guest's own goes on
   * @throws MatrixError 403 M_FORBIDDEN where the account is no guest any more
   */
  planUpgrade(userId: string, next: { readonly deviceId?: string | undefined } | null): Promise<Planned>
}

export function createGuests({
  store,
  environment,
  tokens,
  devices,
}: {
  store: Store
  environment: Environment
  tokens: Tokens
  devices: Devices
}): Guests {
  const notThatGuest = () => forbidden('The guest access token is not of a guest with this username')
  const isGuest = async (userId: string): Promise<boolean> => (await store.home.get(guestRows, userId)) !== undefined

  return {
    async list() {
      return (await store.home.range(guestRows, { index: 'userId' })).map(({ userId }) => userId)
    },

    async requireUpgradable(username, guestAccessToken) {
      if (username === undefined) throw missingParam("'username' is missing: it is that of the guest")
      const userId = userIdForUsername(username, environment.serverName)
      const token = await tokens.find(guestAccessToken)
      if (token?.kind !== 'access' || token.userId !== userId || !(await isGuest(userId))) throw notThatGuest()
      if ((await store.home.get(accountRows, userId))?.isLocked) throw userLocked()
      return userId
    },

    async planUpgrade(userId, next) {
      if (!(await isGuest(userId))) throw notThatGuest()
      const old = next === null ? [] : await devices.list(userId)
      const ended = old.map(({ deviceId }) => deviceId).filter((deviceId) => deviceId !== next?.deviceId)
      const removal = await devices.planRemoval(userId, ended)
      return {
        ops: [remove(guestRows, userId), ...removal.ops],
        done() {
          removal.done()
          // What is remembered of the token that goes on says that its user is a guest.
          tokens.evictUser(userId)
        },
      }
    },
  }
}
