import type { PushNotification } from '../../shared/api/push-gateway/push_notifier.ts'
import { type Outbound, RemoteError } from '../net/index.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { PushGateway } from './gateway.ts'
import type { SendPush } from './http-delivery.ts'
import { isOwnUrl } from './pusher.ts'

const TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 65_536

/** Calls push gateways; our own without a network, which might not lead back to us. */
export function createPushClient(deps: {
  readonly outbound: Outbound
  readonly gateway: PushGateway
  readonly ownOrigin: () => string | null
}): SendPush {
  const { outbound, gateway, ownOrigin } = deps

  async function call(url: string, notification: PushNotification, signal: AbortSignal): Promise<readonly string[]> {
    const answer = await outbound.fetch({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ notification }),
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_ANSWER_BYTES,
      signal,
    })
    if (answer.status < 200 || answer.status > 299) {
      throw new RemoteError(new URL(url).host, 'badAnswer', `status ${answer.status}`)
    }
    return rejectedIn(answer.body.toString())
  }

  return (url, notification, signal) =>
    isOwnUrl(new URL(url), ownOrigin()) ? gateway.notify(notification, signal) : call(url, notification, signal)
}

/** A gateway that answers 200 has taken the notification, whatever else it says. */
function rejectedIn(text: string): readonly string[] {
  try {
    const answer: unknown = JSON.parse(text)
    const rejected: unknown = isJsonObject(answer) ? answer.rejected : undefined
    return Array.isArray(rejected) ? rejected.filter((pushkey) => typeof pushkey === 'string') : []
  } catch {
    return []
  }
}
