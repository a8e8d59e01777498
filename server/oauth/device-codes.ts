import type { Environment, Random } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import { DEVICE_CODE } from './client-metadata.ts'
import type { Client, Clients } from './clients.ts'
import { OAuthError } from './errors.ts'
import { parseScope } from './scope.ts'
import { newSecret, secretHash } from './secrets.ts'
import { type DeviceCodeRow, deviceCodeRows, exactly } from './store.ts'

const LIFETIME_MS = 15 * 60_000
/** Between two questions of the waiting client. */
export const POLL_INTERVAL_MS = 5_000
/** How much longer it must wait after asking too early. Spec: RFC 8628 §3.5. */
const SLOW_DOWN_MS = 5_000
/** Devices that wait at once. */
const MAX_WAITING = 1_000

/** Consonants: no words come of them, and few are mistaken for each other. Spec: RFC 8628 §6.1. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
const USER_CODE_LENGTH = 8

/** What the client shows to its user. */
export interface DeviceAuthorization {
  readonly deviceCode: string
  /** `WDJB-MJHT` */
  readonly userCode: string
  readonly expiresInMs: number
}

/** What a user is asked to agree to. */
export interface WaitingDevice {
  readonly client: Client
  readonly deviceId: string
  readonly userCode: string
}

/** The device authorization grant, up to the tokens. Spec: client-server-api §Device authorisation flow; RFC 8628. */
export interface DeviceCodes {
  /** @throws OAuthError */
  begin(clientId: string, scope: string): Promise<DeviceAuthorization>
  /** @param userCode as a person types it: in any case, with or without the hyphen */
  find(userCode: string): Promise<WaitingDevice | undefined>
  /** @returns whether there was still something to decide */
  decide(userCode: string, userId: string, isAllowed: boolean): Promise<boolean>
  /**
   * The waiting client asks.
   * @returns the row of an approved one, to be removed with the commit that opens the session
   * @throws OAuthError authorization_pending, slow_down, access_denied, expired_token, invalid_grant
   */
  poll(deviceCode: string, clientId: string): Promise<DeviceCodeRow & { readonly userId: string }>
}

export function createDeviceCodes({
  environment,
  store,
  clients,
}: {
  environment: Environment
  store: Store
  clients: Clients
}): DeviceCodes {
  const { clock, random } = environment
  /** When a code was last asked about, and how long its client has to wait. As many as there are rows. */
  const polls = new Map<string, { lastTs: number; intervalMs: number }>()

  async function findWaiting(typed: string): Promise<DeviceCodeRow | undefined> {
    const userCode = typed.toUpperCase().replace(/[^A-Z]/g, '')
    if (userCode.length !== USER_CODE_LENGTH) return undefined
    const rows = await store.home.range(deviceCodeRows, exactly('userCode', userCode))
    return rows.find((row) => row.status === 'pending' && row.expiresTs > clock.now())
  }

  function requirePatience(hash: string): void {
    const now = clock.now()
    const poll = polls.get(hash)
    if (poll && now - poll.lastTs < poll.intervalMs) {
      poll.intervalMs += SLOW_DOWN_MS
      poll.lastTs = now
      throw new OAuthError('slow_down', 'Wait longer before asking again')
    }
    if (polls.size >= MAX_WAITING * 2) polls.clear()
    polls.set(hash, { lastTs: now, intervalMs: poll?.intervalMs ?? POLL_INTERVAL_MS })
  }

  return {
    async begin(clientId, scopeText) {
      const client = await clients.require(clientId, DEVICE_CODE)
      const scope = parseScope(scopeText)
      const deviceCode = newSecret('hdc', random)
      return store.exclusive('oauth:device-codes', async () => {
        if ((await store.home.count(deviceCodeRows)) >= MAX_WAITING) {
          throw new OAuthError('temporarily_unavailable', 'Too many devices wait for their users')
        }
        let userCode = newUserCode(random)
        while ((await store.home.count(deviceCodeRows, exactly('userCode', userCode))) > 0)
          userCode = newUserCode(random)
        await store.commit(() => [
          put(deviceCodeRows, {
            hash: secretHash(deviceCode),
            userCode,
            clientId: client.clientId,
            deviceId: scope.deviceId,
            scope: scope.text,
            status: 'pending',
            userId: null,
            expiresTs: clock.now() + LIFETIME_MS,
          }),
        ])
        return { deviceCode, userCode: withHyphen(userCode), expiresInMs: LIFETIME_MS }
      })
    },

    async find(typed) {
      const row = await findWaiting(typed)
      const client = row && (await clients.find(row.clientId))
      return client && { client, deviceId: row.deviceId, userCode: withHyphen(row.userCode) }
    },

    decide: (typed, userId, isAllowed) =>
      store.exclusive('oauth:device-codes', async () => {
        const row = await findWaiting(typed)
        if (!row) return false
        await store.commit(() => [put(deviceCodeRows, { ...row, userId, status: isAllowed ? 'approved' : 'denied' })])
        return true
      }),

    async poll(deviceCode, clientId) {
      const hash = secretHash(deviceCode)
      const row = await store.home.get(deviceCodeRows, hash)
      if (!row || row.clientId !== clientId) throw new OAuthError('invalid_grant', 'Unknown device code')
      if (row.expiresTs <= clock.now()) throw new OAuthError('expired_token', 'The device code has expired')
      requirePatience(hash)
      if (row.status === 'denied') throw new OAuthError('access_denied', 'The user did not agree')
      if (row.status === 'pending' || row.userId === null) {
        throw new OAuthError('authorization_pending', 'The user has not decided yet')
      }
      polls.delete(hash)
      return { ...row, userId: row.userId }
    },
  }
}

const withHyphen = (userCode: string): string => `${userCode.slice(0, 4)}-${userCode.slice(4)}`

function newUserCode(random: Random): string {
  // Bytes beyond the last full round of letters would make some letters likelier than others.
  const limit = 256 - (256 % LETTERS.length)
  let code = ''
  while (code.length < USER_CODE_LENGTH) {
    for (const byte of random.bytes(USER_CODE_LENGTH)) {
      if (byte < limit && code.length < USER_CODE_LENGTH) code += LETTERS[byte % LETTERS.length]
    }
  }
  return code
}
