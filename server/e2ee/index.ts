import { isUserId, serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { AccountsForReaders } from '../accounts/index.ts'
import type { FederationClient, Outbox } from '../federation/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { Op, Store } from '../store/index.ts'
import { CrossSigning, type FindMaster } from './cross-signing.ts'
import { DehydratedDevices, type DeviceMaker } from './dehydrated-devices.ts'
import { DeviceIdentities } from './device-keys.ts'
import { DeviceLists } from './device-list.ts'
import type { ClaimedKeys, FromServers, KeysElsewhere } from './elsewhere/ask.ts'
import { publicKeyOf } from './elsewhere/check-keys.ts'
import { Elsewhere } from './elsewhere/elsewhere.ts'
import type { Neighbours } from './elsewhere/neighbours.ts'
import { directToDeviceEdus } from './elsewhere/split-messages.ts'
import { KeyBackup } from './key-backup.ts'
import { type NamedKey, OneTimeKeys } from './one-time-keys.ts'
import { type Recipient, ToDevice, type ToDeviceMessage } from './to-device.ts'

export type { Elsewhere } from './elsewhere/elsewhere.ts'
export type { Neighbours } from './elsewhere/neighbours.ts'
export type { BackedUpSession } from './key-backup.ts'
export type { NamedKey, ToDeviceMessage }

/** How long a user's master key is waited for before somebody signs it. */
const MASTER_KEY_TIMEOUT_MS = 10_000

type Messages = ReadonlyMap<string, ReadonlyMap<string, JsonObject>>

/** What slices above (sync) may ask of e2ee. */
export interface E2eeForReaders {
  /** Messages for one device after `since` (exclusive) up to `upTo`, oldest first. */
  toDeviceSince(
    device: { userId: string; deviceId: string },
    since: number,
    upTo: number,
    limit: number,
  ): Promise<readonly ToDeviceMessage[]>
  /** The client has shown that it got everything up to this position: they are removed. */
  acknowledgeToDevice(device: { userId: string; deviceId: string }, upTo: number): Promise<void>
  /** Devices for which messages wait. The work follows their number. */
  inboxesInUse(): Promise<readonly { readonly userId: string; readonly deviceId: string }[]>
  /** Users whose devices or cross-signing keys changed after `since` and up to `upTo`. Cost follows the number of changes. */
  usersWithChangedDevices(since: number, upTo: number): Promise<ReadonlySet<string>>
  /** Users whose keys this user signed after `since`: a change for the signer's own devices, whatever rooms they share. */
  usersSignedBy(userId: string, since: number, upTo: number): Promise<ReadonlySet<string>>
  /** By algorithm; `signed_curve25519` is always there. From memory for devices in use. */
  oneTimeKeyCounts(userId: string, deviceId: string): Promise<Readonly<Record<string, number>>>
  unusedFallbackKeyTypes(userId: string, deviceId: string): Promise<readonly string[]>
  onToDevice(listener: (message: { userId: string; deviceId: string; position: number }) => void): () => void
  onDeviceListChanged(listener: (change: { userId: string; position: number }) => void): () => void
}

/** A message to some devices; `*` stands for all of a user's. */
export interface ToDeviceSend {
  readonly sender: { readonly userId: string; readonly deviceId: string | null }
  readonly txnId: string
  readonly type: string
  /** Content by device ID by user ID. */
  readonly messages: Messages
}

export interface E2ee extends E2eeForReaders {
  readonly identities: Pick<DeviceIdentities, 'upload' | 'query'>
  readonly crossSigning: Pick<CrossSigning, 'needsAuthentication' | 'upload' | 'addSignatures' | 'isKeyOf'>
  readonly backup: Omit<KeyBackup, never>
  readonly dehydrated: Pick<DehydratedDevices, 'put' | 'get' | 'delete' | 'events'>
  claimOneTimeKey(userId: string, deviceId: string, algorithm: string): Promise<NamedKey | undefined>
  /** Keys of users of other servers, with the asker's own signatures. Never rejects because of another server. */
  queryElsewhere(
    asker: string,
    wanted: ReadonlyMap<string, readonly string[]>,
    timeoutMs: number,
  ): Promise<FromServers<KeysElsewhere>>
  /** One-time keys of devices of other servers: by user, algorithms by device. */
  claimElsewhere(
    wanted: ReadonlyMap<string, Readonly<Record<string, string>>>,
    timeoutMs: number,
  ): Promise<FromServers<ClaimedKeys>>
  readonly elsewhere: Pick<
    Elsewhere,
    'begin' | 'receive' | 'devicesOf' | 'cameInto' | 'parted' | 'heardFrom' | 'stats' | typeof Symbol.asyncDispose
  >
  /**
   * Once for each transaction ID of the sending device. Unknown users and devices are passed over; what is for other servers
   * waits for them in the same commit.
   */
  sendToDevices(send: ToDeviceSend): Promise<void>
}

export function createE2ee(deps: {
  environment: Environment
  store: Store
  accounts: AccountsForReaders & DeviceMaker
  client: Pick<FederationClient, 'call'>
  outbox: Pick<Outbox, 'writeEdu' | 'edusReady'>
  neighbours: Neighbours
}): E2ee {
  const { environment, store, accounts, outbox, neighbours } = deps
  const lists = new DeviceLists(store)
  const oneTimeKeys = new OneTimeKeys(store)
  const toDevice = new ToDevice(store, environment)
  const isLocal = (userId: string): boolean => serverNameOf(userId) === environment.serverName
  const findMaster: FindMaster = async (userId) => {
    if (isLocal(userId)) return (await crossSigning.keysOf(userId)).get('master')
    const { found } = await elsewhere.ask.query(new Map([[userId, []]]), MASTER_KEY_TIMEOUT_MS)
    const master = found.get(userId)?.master
    if (!master) return undefined
    const json = JSON.stringify(master)
    return { publicKey: publicKeyOf(userId, json), json }
  }
  const crossSigning = new CrossSigning(store, lists, findMaster)
  const identities = new DeviceIdentities(store, accounts, { lists, crossSigning, oneTimeKeys, toDevice })

  const dehydrated = new DehydratedDevices(store, accounts, { identities, toDevice })

  /** Devices here that messages are for. */
  async function recipientsOf(messages: Messages): Promise<readonly Recipient[]> {
    const recipients: Recipient[] = []
    for (const [userId, byDevice] of messages) {
      if (!isLocal(userId)) continue
      const toAll = byDevice.get('*')
      if (toAll) {
        for (const { deviceId } of await accounts.listDevices(userId)) {
          if (!byDevice.has(deviceId)) recipients.push({ userId, deviceId, content: toAll })
        }
      }
      for (const [deviceId, content] of byDevice) {
        if (deviceId !== '*' && (await accounts.findDevice(userId, deviceId))) {
          recipients.push({ userId, deviceId, content })
        }
      }
    }
    return recipients
  }

  const elsewhere = new Elsewhere({
    ...deps,
    lists,
    identities,
    async deliver({ origin, messageId, senderId, type, messages }) {
      await toDevice.receive({ origin, messageId, senderId, type, recipients: await recipientsOf(messages) })
    },
  })

  /** What of these messages goes to other servers. */
  function eduWrites(senderId: string, type: string, messages: Messages) {
    const remote = [...messages].filter(
      ([userId]) => isUserId(userId) && !isLocal(userId) && !neighbours.isBlocked(serverNameOf(userId)),
    )
    const byServer = Map.groupBy(remote, ([userId]) => serverNameOf(userId))
    const newId = (): string => environment.random.bytes(16).toString('base64url')
    const write = (): readonly Op[] =>
      [...byServer].flatMap(([server, ofServer]) =>
        directToDeviceEdus({ senderId, type, messages: new Map(ofServer), newId }).map((edu) =>
          outbox.writeEdu(server, edu),
        ),
      )
    return { servers: [...byServer.keys()], write }
  }

  accounts.onDeviceRemoved(({ userId, deviceId }) => {
    Promise.all([identities.remove(userId, deviceId), dehydrated.removed(userId, deviceId)]).catch((cause: unknown) => {
      // Whoever asks for the device's keys next finds that it is gone, and removes them then.
      environment.logger.error({ event: 'e2ee.device-removal-failed', userId, deviceId, cause })
    })
  })

  accounts.onDeviceRenamed(({ userId, deviceId }) => {
    identities.renamed(userId, deviceId).catch((cause: unknown) => {
      // Others go on seeing the old name until the user's next change.
      environment.logger.error({ event: 'e2ee.device-rename-failed', userId, deviceId, cause })
    })
  })

  return {
    identities,
    crossSigning,
    backup: new KeyBackup(store),
    dehydrated,
    claimOneTimeKey: (userId, deviceId, algorithm) => oneTimeKeys.claim(userId, deviceId, algorithm),
    async queryElsewhere(asker, wanted, timeoutMs) {
      const { found, failures } = await elsewhere.ask.query(wanted, timeoutMs)
      const signed = new Map<string, KeysElsewhere>()
      for (const [userId, keys] of found) {
        signed.set(userId, await crossSigning.signedBy(asker, userId, keys))
      }
      return { found: signed, failures }
    },
    claimElsewhere: (wanted, timeoutMs) => elsewhere.ask.claim(wanted, timeoutMs),
    elsewhere,
    async sendToDevices({ sender, txnId, type, messages }) {
      const edus = eduWrites(sender.userId, type, messages)
      const isFirst = await toDevice.send({
        senderId: sender.userId,
        deviceId: sender.deviceId,
        txnId,
        type,
        recipients: await recipientsOf(messages),
        alongside: edus.write,
      })
      if (isFirst) outbox.edusReady(edus.servers)
    },

    toDeviceSince: (device, since, upTo, limit) => toDevice.since(device, since, upTo, limit),
    acknowledgeToDevice: (device, upTo) => toDevice.acknowledge(device, upTo),
    inboxesInUse: () => toDevice.inboxesInUse(),
    usersWithChangedDevices: (since, upTo) => lists.changedSince(since, upTo),
    usersSignedBy: (userId, since, upTo) => lists.signedSince(userId, since, upTo),
    oneTimeKeyCounts: (userId, deviceId) => oneTimeKeys.counts(userId, deviceId),
    unusedFallbackKeyTypes: (userId, deviceId) => oneTimeKeys.unusedFallbackTypes(userId, deviceId),
    onToDevice: (listener) => toDevice.onMessage(listener),
    onDeviceListChanged: (listener) => lists.onChange(listener),
  }
}
