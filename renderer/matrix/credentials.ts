import { isRecord } from './failure.ts'

/** Who is signed in on this device, and with what. Kept by the browser's storage; holds secrets, so it is never logged. */
export interface Credentials {
  /** The server's address, without a slash at the end. */
  readonly baseUrl: string
  readonly userId: string
  readonly deviceId: string
  readonly accessToken: string
  readonly refreshToken?: string
  /** When the access token ends, ms since epoch by this device's clock; absent: never. */
  readonly expiresTs?: number
}

/** The part of `Storage` that we use, so that tests and Node can give their own. */
export interface KeyValueStore {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

const KEY = 'hearth.session'

/** The stored session; `undefined` where there is none, or what is there cannot be read. */
export function readCredentials(store: KeyValueStore): Credentials | undefined {
  const text = store.getItem(KEY)
  if (text === null) return undefined
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // damaged: the same as signed out, and signing in writes it anew
    return undefined
  }
  if (!isRecord(json)) return undefined
  const { baseUrl, userId, deviceId, accessToken, refreshToken, expiresTs } = json
  if (
    typeof baseUrl !== 'string' ||
    typeof userId !== 'string' ||
    typeof deviceId !== 'string' ||
    typeof accessToken !== 'string'
  ) {
    return undefined
  }
  return {
    baseUrl,
    userId,
    deviceId,
    accessToken,
    ...(typeof refreshToken === 'string' ? { refreshToken } : {}),
    ...(typeof expiresTs === 'number' ? { expiresTs } : {}),
  }
}

export function writeCredentials(store: KeyValueStore, credentials: Credentials): void {
  store.setItem(KEY, JSON.stringify(credentials))
}
