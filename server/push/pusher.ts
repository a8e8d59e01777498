/**
 * What a pusher is, and what clients may ask of one. Spec: client-server-api §POST /pushers/set.
 */
import { invalidParam, missingParam } from '../../shared/matrix/errors.ts'
import { utf8ByteLength } from '../../shared/matrix/identifiers.ts'
import { isMailAddress } from '../mail/index.ts'
import { ownValue } from '../protocol/json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { isPushUrl } from './push-url.ts'

const MAX_PUSHKEY_BYTES = 512
const MAX_APP_ID_LENGTH = 64
const MAX_NAME_LENGTH = 256
const MAX_URL_LENGTH = 2_048
/** Of `data` as JSON: it goes out with every push. */
const MAX_DATA_LENGTH = 8_192
const NOTIFY_PATH = '/_matrix/push/v1/notify'

export type PusherKind = 'http' | 'email'

export interface Pusher {
  readonly id: string
  readonly userId: string
  readonly kind: PusherKind
  readonly appId: string
  readonly pushkey: string
  readonly appDisplayName: string
  readonly deviceDisplayName: string
  readonly profileTag: string | null
  readonly lang: string
  readonly data: JsonObject
  readonly deviceId: string | null
  readonly setTs: number
  readonly position: number
  readonly unsubscribeKey: string | null
}

/** The body of `POST /pushers/set`. */
export interface PusherRequest {
  readonly kind: string | null
  readonly app_id: string
  readonly pushkey: string
  readonly app_display_name?: string | undefined
  readonly device_display_name?: string | undefined
  readonly profile_tag?: string | undefined
  readonly lang?: string | undefined
  readonly data?: JsonObject | undefined
  readonly append?: boolean | undefined
}

/** What of a pusher its user decides. */
export type PusherWish = Pick<
  Pusher,
  'kind' | 'appId' | 'pushkey' | 'appDisplayName' | 'deviceDisplayName' | 'profileTag' | 'lang' | 'data'
>

/** NUL cannot be in any of the three. */
export const pusherId = (userId: string, appId: string, pushkey: string): string => `${userId}\0${appId}\0${pushkey}`

/** @throws MatrixError 400 for a name that no pusher can have */
export function requirePusherName(appId: string, pushkey: string): void {
  if (appId === '' || appId.length > MAX_APP_ID_LENGTH || appId.includes('\0')) {
    throw invalidParam(`app_id has 1 to ${MAX_APP_ID_LENGTH} characters`)
  }
  if (pushkey === '' || utf8ByteLength(pushkey) > MAX_PUSHKEY_BYTES || pushkey.includes('\0')) {
    throw invalidParam(`pushkey has 1 to ${MAX_PUSHKEY_BYTES} bytes`)
  }
}

/**
 * Checks a pusher that is to be made or changed.
 * @param ownOrigin of this server, whose own gateway is reached without any network
 * @throws MatrixError 400 M_MISSING_PARAM, M_INVALID_PARAM
 */
export function readPusherWish(request: PusherRequest, ownOrigin: string | null): PusherWish {
  const { kind, app_id: appId, pushkey, app_display_name: appDisplayName, lang, data } = request
  const { device_display_name: deviceDisplayName, profile_tag: profileTag = null } = request
  requirePusherName(appId, pushkey)
  const needed = { app_display_name: appDisplayName, device_display_name: deviceDisplayName, lang, data }
  const missing = Object.entries(needed).flatMap(([name, value]) => (value === undefined ? [name] : []))
  if (appDisplayName === undefined || deviceDisplayName === undefined || lang === undefined || data === undefined) {
    throw missingParam(`Missing parameters: ${missing.join(', ')}`)
  }
  for (const text of [appDisplayName, deviceDisplayName, lang, profileTag ?? '']) {
    if (text.length > MAX_NAME_LENGTH) throw invalidParam(`Names have at most ${MAX_NAME_LENGTH} characters`)
  }
  if (JSON.stringify(data).length > MAX_DATA_LENGTH) throw invalidParam('data is too large')
  if (kind === 'http') requireGatewayUrl(ownValue(data, 'url'), ownOrigin)
  else if (kind === 'email') requireMail(appId, pushkey)
  else throw invalidParam('kind is neither http, email nor null')
  return { kind, appId, pushkey, appDisplayName, deviceDisplayName, profileTag, lang, data }
}

/** Whether a URL leads to this server. */
export const isOwnUrl = (url: URL, ownOrigin: string | null): boolean => ownOrigin !== null && url.origin === ownOrigin

/**
 * Spec: `url` "MUST be an HTTPS URL with a path of `/_matrix/push/v1/notify`". Without TLS only where nothing crosses a
 * network: our own gateway, and this machine's.
 */
function requireGatewayUrl(text: unknown, ownOrigin: string | null): void {
  if (text === undefined) throw missingParam('Missing parameters: data.url')
  if (typeof text !== 'string' || text.length > MAX_URL_LENGTH || !URL.canParse(text)) {
    throw invalidParam('data.url is not a URL')
  }
  const url = new URL(text)
  if (!isPushUrl(text) && !isOwnUrl(url, ownOrigin)) throw invalidParam('data.url is not an HTTPS URL')
  if (url.pathname !== NOTIFY_PATH) throw invalidParam(`The path of data.url is not ${NOTIFY_PATH}`)
}

function requireMail(appId: string, pushkey: string): void {
  if (appId !== 'm.email') throw invalidParam('The app_id of an e-mail pusher is m.email')
  if (!isMailAddress(pushkey)) throw invalidParam('The pushkey of an e-mail pusher is an e-mail address')
}
