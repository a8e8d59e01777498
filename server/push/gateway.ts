/**
 * Our own push gateway: passes notifications on to push services, by Web Push (RFC 8030, 8291, 8292) and by UnifiedPush.
 * Spec: push-gateway-api.
 *
 * A device is one of Web Push where its pusher's data has `endpoint` and `auth`, with the subscription's public key as push
 * key: so apps that use other gateways do it. Else the push key is a UnifiedPush endpoint, which gets the notification as it is.
 */
import { isIP } from 'node:net'
import type { PushDevice, PushNotification } from '../../shared/api/push-gateway/push_notifier.ts'
import { invalidParam } from '../../shared/matrix/errors.ts'
import { type Outbound, RemoteError } from '../net/index.ts'
import type { Clock } from '../observe/environment.ts'
import { isJsonObject } from '../protocol/json.ts'
import { unifiedPushMessage, webPushMessage } from './gateway-message.ts'
import { isPushUrl } from './push-url.ts'
import type { VapidKeys } from './vapid-keys.ts'
import { encryptedRequest, subscriptionOf } from './web-push.ts'

const MAX_DEVICES = 20
const TIMEOUT_MS = 20_000
const MAX_ANSWER_BYTES = 65_536
/** Endpoints of strangers that were found to be ones, and for how long that holds. */
const MAX_CHECKED = 1_000
const CHECKED_FOR_MS = 24 * 60 * 60_000

export interface PushGateway {
  /**
   * @returns the push keys that no notification can ever reach
   * @throws MatrixError 400 M_INVALID_PARAM for too many devices
   * @throws RemoteError where a push service should be tried again
   */
  notify(notification: PushNotification, signal?: AbortSignal): Promise<readonly string[]>
  /** What browsers must be told when they subscribe. */
  vapidPublicKey(): Promise<string>
}

type Outcome = 'taken' | 'gone' | RemoteError

export function createPushGateway(deps: {
  readonly clock: Clock
  readonly outbound: Outbound
  readonly vapid: VapidKeys
  /** Whether somebody of this server has a pusher of these names: then nobody need be asked whether the endpoint wants it. */
  readonly isKnown: (appId: string, pushkey: string) => boolean
}): PushGateway {
  const { clock, outbound, vapid, isKnown } = deps
  const checked = new Map<string, number>()

  async function post(
    url: string,
    request: { readonly headers: Readonly<Record<string, string>>; readonly body: string | Uint8Array },
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const { host } = new URL(url)
    try {
      const { status } = await outbound.fetch({
        url,
        method: 'POST',
        ...request,
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
        ...(signal && { signal }),
      })
      if (status >= 200 && status < 300) return 'taken'
      // The subscription is over.
      if (status === 404 || status === 410) return 'gone'
      return new RemoteError(host, 'badAnswer', `status ${status}`)
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error
      return isRefusedForGood(error, url) ? 'gone' : error
    }
  }

  /**
   * Anybody may ask us to call any address; so those that nobody here asked for must say themselves that they are push
   * endpoints. Spec: unifiedpush.org §Push server, discovery.
   */
  async function isPushEndpoint(url: string): Promise<boolean | RemoteError> {
    const checkedTs = checked.get(url)
    if (checkedTs !== undefined && clock.now() - checkedTs < CHECKED_FOR_MS) return true
    try {
      const answer = await outbound.fetch({ url, timeoutMs: TIMEOUT_MS, maxBytes: MAX_ANSWER_BYTES })
      const said: unknown = answer.status === 200 ? JSON.parse(answer.body.toString()) : undefined
      const unifiedpush: unknown = isJsonObject(said) ? said.unifiedpush : undefined
      if (!isJsonObject(unifiedpush) || unifiedpush.version !== 1) return false
    } catch (error) {
      if (error instanceof SyntaxError) return false
      if (!(error instanceof RemoteError)) throw error
      return isRefusedForGood(error, url) ? false : error
    }
    checked.delete(url)
    checked.set(url, clock.now())
    for (const oldest of checked.keys()) {
      if (checked.size <= MAX_CHECKED) break
      checked.delete(oldest)
    }
    return true
  }

  async function tell(notification: PushNotification, device: PushDevice, signal?: AbortSignal): Promise<Outcome> {
    const subscription = subscriptionOf(device)
    if (subscription) {
      const message = webPushMessage(notification, device)
      if (message === undefined) return 'taken'
      const request = await encryptedRequest(await vapid.get(), subscription, message)
      return request === undefined ? 'gone' : post(subscription.endpoint, request, signal)
    }
    if (!isPushUrl(device.pushkey)) return 'gone'
    const isEndpoint = isKnown(device.app_id, device.pushkey) || (await isPushEndpoint(device.pushkey))
    if (isEndpoint !== true) return isEndpoint === false ? 'gone' : isEndpoint
    const headers = { 'content-type': 'application/json', ttl: '86400', urgency: urgencyOf(notification) }
    return post(device.pushkey, { headers, body: unifiedPushMessage(notification) }, signal)
  }

  return {
    async notify(notification, signal) {
      const { devices } = notification
      if (devices.length > MAX_DEVICES) throw invalidParam(`At most ${MAX_DEVICES} devices are notified at once`)
      const outcomes = await Promise.all(devices.map((device) => tell(notification, device, signal)))
      const rejected = devices.filter((_device, i) => outcomes[i] === 'gone').map(({ pushkey }) => pushkey)
      const failure = outcomes.find((outcome) => outcome instanceof RemoteError)
      // What is rejected must be heard of; the others then miss one notification of many.
      if (failure && rejected.length === 0) throw failure
      return rejected
    },
    vapidPublicKey: async () => (await vapid.get()).publicKey,
  }
}

/** An address that we do not go to today is none tomorrow; a name may lead there only as long as somebody meddles with names. */
const isRefusedForGood = ({ failure }: RemoteError, url: string): boolean =>
  failure === 'refused' && isIP(new URL(url).hostname.replace(/^\[|\]$/g, '')) !== 0

const urgencyOf = ({ prio }: PushNotification): string => (prio === 'low' ? 'low' : 'high')
