import type { Edu } from '../../federation/index.ts'
import type { JsonObject } from '../../protocol/pdu.ts'

/** An EDU holds no more than this, unless a single message is longer: servers limit what they take in one transaction. */
const MAX_EDU_LENGTH = 60_000

/**
 * Messages for devices of one other server, as EDUs of a size that any server takes.
 * Spec: server-server-api §Send-to-device messaging.
 * @param message.newId makes a new `message_id`, of at most 32 characters
 */
export function directToDeviceEdus(message: {
  readonly senderId: string
  readonly type: string
  readonly messages: ReadonlyMap<string, ReadonlyMap<string, JsonObject>>
  readonly newId: () => string
}): readonly Edu[] {
  const { senderId: sender, type, messages, newId } = message
  const edus: Edu[] = []
  let taken = new Map<string, Map<string, JsonObject>>()
  let length = 0
  const finish = (): void => {
    if (taken.size === 0) return
    const byUser = [...taken].map(([userId, byDevice]) => [userId, Object.fromEntries(byDevice)] as const)
    edus.push({
      edu_type: 'm.direct_to_device',
      content: { sender, type, message_id: newId(), messages: Object.fromEntries(byUser) },
    })
    taken = new Map()
    length = 0
  }
  for (const [userId, byDevice] of messages) {
    // `*` stands for those that are not named: they must not come apart.
    const parts = byDevice.has('*') ? [[...byDevice]] : [...byDevice].map((entry) => [entry])
    for (const part of parts) {
      const more = part.reduce((sum, [deviceId, content]) => sum + deviceId.length + JSON.stringify(content).length, 0)
      if (length > 0 && length + more > MAX_EDU_LENGTH) finish()
      const ofUser = taken.get(userId) ?? new Map<string, JsonObject>()
      for (const [deviceId, content] of part) ofUser.set(deviceId, content)
      taken.set(userId, ofUser)
      length += more
    }
  }
  finish()
  return edus
}
