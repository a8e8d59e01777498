/**
 * What other servers say of their users' devices and keys, and send to devices of ours. Whatever does not fit is ignored: EDUs
 * are never refused. Spec: server-server-api §Device Management, §End-to-End Encryption, §Send-to-device messaging.
 */
import { isUserId, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { ReceiveEdu } from '../../federation/index.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import { isRemoteDeviceId, publicKeyOf, readDevice, readSigningKeys, streamIdOf } from './check-keys.ts'
import type { Copies } from './copies.ts'
import type { Neighbours } from './neighbours.ts'
import type { Resync } from './resync.ts'

const MAX_PREVIOUS = 64
const MAX_MESSAGE_ID_LENGTH = 255
const MAX_TYPE_LENGTH = 255
/** So many devices get a message of one EDU. */
const MAX_DEVICES_OF_EDU = 5_000

/** Before Matrix 1.1; some servers still send both. */
const UNSTABLE_SIGNING_KEY_UPDATE = 'org.matrix.signing_key_update'

/** A message of a user elsewhere to devices here; `*` stands for all of a user's. */
export interface MessageFromElsewhere {
  readonly origin: string
  readonly messageId: string
  readonly senderId: string
  readonly type: string
  /** Content by device ID by user ID. */
  readonly messages: ReadonlyMap<string, ReadonlyMap<string, JsonObject>>
}

export function receiveE2eeEdus(deps: {
  readonly copies: Copies
  readonly resync: Resync
  readonly neighbours: Neighbours
  readonly deliver: (message: MessageFromElsewhere) => Promise<void>
}): ReceiveEdu {
  const { copies, resync, neighbours, deliver } = deps

  /** Only users who share a room with ours are of interest. */
  async function isNear(userId: string): Promise<boolean> {
    const server = serverNameOf(userId)
    return (await copies.has(userId)) || (await neighbours.near(server, new Set([userId]))).has(userId)
  }

  async function receiveDeviceUpdate(origin: string, content: JsonObject): Promise<void> {
    const { user_id: userId, device_id: deviceId, device_display_name: name, keys, prev_id: prevId } = content
    const streamId = streamIdOf(content.stream_id)
    if (!isUserOf(userId, origin) || !isRemoteDeviceId(deviceId) || streamId === undefined) return
    const previous = (Array.isArray(prevId) ? (prevId as readonly Json[]) : []).map(streamIdOf)
    if (previous.length > MAX_PREVIOUS || !(await isNear(userId))) return
    const isKept = content.deleted !== true && keys !== undefined
    const device = isKept ? readDevice(userId, { deviceId, keys, name }) : undefined
    resync.hasChanged(userId)
    const outcome = await copies.update(userId, {
      deviceId,
      device,
      streamId,
      // Whatever is no ID is one that is not known; so are keys that cannot be those of the device.
      previous: isKept && !device ? [] : previous.map((id) => id ?? ''),
    })
    if (outcome === 'gap') resync.soon(userId)
    if (outcome === 'none') await copies.announce(userId)
  }

  async function receiveSigningKeys(origin: string, content: JsonObject): Promise<void> {
    const { user_id: userId } = content
    const [master, selfSigning] = [content.master_key ?? undefined, content.self_signing_key ?? undefined]
    if (!isUserOf(userId, origin) || (master === undefined && selfSigning === undefined) || !(await isNear(userId)))
      return
    resync.hasChanged(userId)
    const outcome = await copies.updateSigningKeys(userId, (known) => {
      const { masterKey, selfSigningKey } = readSigningKeys(userId, { master, selfSigning }, known)
      // A key that is given but not good, or whose master key is not there yet: the whole list tells what holds.
      if (masterKey === null || (selfSigning !== undefined && selfSigningKey === null)) return undefined
      if (selfSigning !== undefined || known === null) return { masterKey, selfSigningKey }
      const isSameMaster = publicKeyOf(userId, known) === publicKeyOf(userId, masterKey)
      return isSameMaster ? { masterKey } : { masterKey, selfSigningKey: null }
    })
    if (outcome === 'gap') resync.soon(userId)
    if (outcome === 'none') await copies.announce(userId)
  }

  async function receiveMessage(origin: string, content: JsonObject): Promise<void> {
    const { sender, type, message_id: messageId, messages } = content
    if (!isUserOf(sender, origin) || !isShort(type, MAX_TYPE_LENGTH) || !isJsonObject(messages)) return
    if (!isShort(messageId, MAX_MESSAGE_ID_LENGTH)) return
    const byUser = new Map<string, ReadonlyMap<string, JsonObject>>()
    let left = MAX_DEVICES_OF_EDU
    for (const [userId, byDevice] of Object.entries(messages)) {
      if (!isJsonObject(byDevice)) continue
      const contents = Object.entries(byDevice).filter((entry): entry is [string, JsonObject] => isJsonObject(entry[1]))
      left -= contents.length
      if (left < 0) break
      byUser.set(userId, new Map(contents))
    }
    await deliver({ origin, messageId, senderId: sender, type, messages: byUser })
  }

  return async (origin, eduType, content) => {
    switch (eduType) {
      case 'm.device_list_update':
        await receiveDeviceUpdate(origin, content)
        return true
      case 'm.signing_key_update':
      case UNSTABLE_SIGNING_KEY_UPDATE:
        await receiveSigningKeys(origin, content)
        return true
      case 'm.direct_to_device':
        await receiveMessage(origin, content)
        return true
      default:
        return false
    }
  }
}

function isUserOf(userId: Json | undefined, origin: string): userId is string {
  return typeof userId === 'string' && isUserId(userId) && serverNameOf(userId) === origin
}

function isShort(text: Json | undefined, maxLength: number): text is string {
  return typeof text === 'string' && text !== '' && text.length <= maxLength
}
