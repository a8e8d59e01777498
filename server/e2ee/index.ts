import type { AccountsForReaders } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { Store } from '../store/index.ts'
import { CrossSigning } from './cross-signing.ts'
import { DehydratedDevices, type DeviceMaker } from './dehydrated-devices.ts'
import { DeviceIdentities } from './device-keys.ts'
import { DeviceLists } from './device-list.ts'
import { KeyBackup } from './key-backup.ts'
import { type NamedKey, OneTimeKeys } from './one-time-keys.ts'
import { ToDevice, type ToDeviceMessage } from './to-device.ts'

export type { BackedUpSession } from './key-backup.ts'
export type { NamedKey, ToDeviceMessage }

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
  readonly messages: ReadonlyMap<string, ReadonlyMap<string, JsonObject>>
}

export interface E2ee extends E2eeForReaders {
  readonly identities: Pick<DeviceIdentities, 'upload' | 'query'>
  readonly crossSigning: Pick<CrossSigning, 'needsAuthentication' | 'upload' | 'addSignatures' | 'isKeyOf'>
  readonly backup: Omit<KeyBackup, never>
  readonly dehydrated: Pick<DehydratedDevices, 'put' | 'get' | 'delete' | 'events'>
  claimOneTimeKey(userId: string, deviceId: string, algorithm: string): Promise<NamedKey | undefined>
  /** Once for each transaction ID of the sending device. Unknown users and devices are passed over. */
  sendToDevices(send: ToDeviceSend): Promise<void>
}

export function createE2ee(deps: {
  environment: Environment
  store: Store
  accounts: AccountsForReaders & DeviceMaker
}): E2ee {
  const { environment, store, accounts } = deps
  const lists = new DeviceLists(store)
  const oneTimeKeys = new OneTimeKeys(store)
  const toDevice = new ToDevice(store, environment.clock)
  const crossSigning = new CrossSigning(store, lists)
  const identities = new DeviceIdentities(store, accounts, { lists, crossSigning, oneTimeKeys, toDevice })

  const dehydrated = new DehydratedDevices(store, accounts, { identities, toDevice })

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
    async sendToDevices({ sender, txnId, type, messages }) {
      const recipients: { userId: string; deviceId: string; content: JsonObject }[] = []
      for (const [userId, byDevice] of messages) {
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
      await toDevice.send({ sender, txnId, type, recipients })
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
