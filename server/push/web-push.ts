/** Requests to push services of browsers: encrypted (RFC 8291) and signed (RFC 8292). */
import { createHash, ECDH } from 'node:crypto'
import type { PushSubscription } from 'web-push'
import type { PushDevice } from '../../shared/api/push-gateway/push_notifier.ts'
import type { WebPushMessage } from './gateway-message.ts'
import { isPushUrl } from './push-url.ts'
import type { VapidPair } from './vapid-keys.ts'

/** A push service keeps a message so long for a device that is off. */
const TTL_S = 24 * 60 * 60

/** @returns `undefined` for a device of another kind */
export function subscriptionOf({ pushkey, data }: PushDevice): PushSubscription | undefined {
  const { endpoint, auth } = data ?? {}
  if (typeof endpoint !== 'string' || typeof auth !== 'string') return undefined
  return { endpoint, keys: { p256dh: pushkey, auth } }
}

/** @returns `undefined` for a subscription whose keys are none: nothing can ever be sent there */
export async function encryptedRequest(
  vapid: VapidPair,
  subscription: PushSubscription,
  message: WebPushMessage,
): Promise<{ readonly headers: Record<string, string>; readonly body: Uint8Array } | undefined> {
  const { endpoint, keys } = subscription
  if (!isPushUrl(endpoint) || !isPoint(keys.p256dh) || Buffer.from(keys.auth, 'base64url').length !== 16) {
    return undefined
  }
  // It takes a while to load, and many homes never push to a browser.
  const { default: webPush } = await import('web-push')
  const { headers, body } = webPush.generateRequestDetails(subscription, message.text, {
    TTL: TTL_S,
    urgency: message.urgency,
    contentEncoding: 'aes128gcm',
    ...(message.topicOf !== undefined && { topic: topicOf(message.topicOf) }),
  })
  // Asked to do this as well, the library takes the address apart in a way that Node warns of.
  const { origin } = new URL(endpoint)
  const signed = webPush.getVapidHeaders(origin, vapid.contact, vapid.publicKey, vapid.privateKey, 'aes128gcm')
  const all = Object.entries({ ...headers, ...signed })
  const texts = all.map(([name, value]) => [name.toLowerCase(), String(value)] as const)
  return { headers: Object.fromEntries(texts.filter(([name]) => name !== 'content-length')), body }
}

/** 32 characters at most, and nothing that the push service could read. */
const topicOf = (roomId: string): string => createHash('sha256').update(roomId).digest('base64url').slice(0, 32)

/** Whether it is a point of P-256, uncompressed. */
function isPoint(text: string): boolean {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== 65 || bytes[0] !== 4) return false
  try {
    ECDH.convertKey(bytes, 'prime256v1')
    return true
  } catch {
    return false
  }
}
