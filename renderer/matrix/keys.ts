import type { MatrixClient, UIAuthCallback } from 'matrix-js-sdk'
import {
  type CryptoApi,
  CryptoEvent,
  decodeRecoveryKey,
  type GeneratedSecretStorageKey,
} from 'matrix-js-sdk/lib/crypto-api'
import { Failure, failureOf } from './failure.ts'
import { throughStages } from './sign-in.ts'
import { coalesce, createSignal, type Unsubscribe } from './signal.ts'

/**
 * Where this device stands with the keys of the account:
 * `none`: the account has no recovery yet; `locked`: it has, and this device has not been let in;
 * `ready`: this device is trusted and its keys are kept safe.
 */
export type KeyState = 'unknown' | 'none' | 'locked' | 'ready'

export interface RestoreProgress {
  readonly step: 'checking' | 'trusting' | 'fetching' | 'reading' | 'done'
  /** Keys read so far and in all, once known. */
  readonly done: number
  readonly total: number
}

export interface KeyCare {
  readonly state: () => KeyState
  readonly onChange: (listener: (state: KeyState) => void) => Unsubscribe
  /** Looks anew. The first time only once the server has answered a sync; from then on it follows by itself. */
  readonly refresh: () => Promise<void>
  /**
   * Makes cross-signing keys where there are none, a new recovery key, and a backup of the message keys.
   * Answers the recovery key as it is shown to the person, in groups of four. It is not kept anywhere.
   * @param password for a server that asks for it again
   */
  readonly setUp: (password: string | undefined) => Promise<string>
  /** Lets this device in by the recovery key, and reads the kept message keys. Throws `wrongKey`. */
  readonly unlock: (recoveryKey: string, onProgress: (progress: RestoreProgress) => void) => Promise<void>
  /** Starts anew where the recovery key is lost: older messages stay closed on this device. */
  readonly startAnew: (password: string | undefined) => Promise<string>
  /** Whether messages could be lost by signing out here: no trusted keys, or a backup that is behind. */
  readonly isSafeToLeave: () => Promise<boolean>
}

/** The secret storage key, held only while something needs it. */
export interface KeyHolder {
  keyId: string | undefined
  key: Uint8Array<ArrayBuffer> | undefined
}

export function createKeyCare(
  client: MatrixClient,
  crypto: CryptoApi,
  holder: KeyHolder,
): KeyCare & { close: () => void } {
  const userId = client.getSafeUserId()
  const changed = createSignal<KeyState>()
  let state: KeyState = 'unknown'
  let isClosed = false
  /** Nothing is judged by what was kept from last time: a key that was made just before the page was loaded anew is not in it. */
  let isBegun = false
  let remaining = 0

  const holdsCrossSigningKeys = async (): Promise<boolean> => {
    const { privateKeysCachedLocally: local, publicKeysOnDevice } = await crypto.getCrossSigningStatus()
    return publicKeysOnDevice && local.masterKey && local.selfSigningKey && local.userSigningKey
  }

  const look = async (): Promise<KeyState> => {
    // the answer must come from the server: a fresh device knows nothing of its account yet (and see §2 of the stack notes)
    const hasKeys = await crypto.userHasCrossSigningKeys(userId, true)
    const defaultKeyId = await client.secretStorage.getDefaultKeyId()
    if (!hasKeys) return 'none'
    const holdsKeys = await holdsCrossSigningKeys()
    if (!defaultKeyId) return holdsKeys ? 'none' : 'locked'
    if (!holdsKeys) return 'locked'
    if ((await crypto.getActiveSessionBackupVersion()) !== null) return 'ready'
    // right after the start nobody has looked for the backup yet
    if ((await crypto.checkKeyBackupAndEnable()) === null) return 'none'
    return (await crypto.getActiveSessionBackupVersion()) === null ? 'locked' : 'ready'
  }

  const refresh = async (): Promise<void> => {
    if (isClosed) return
    isBegun = true
    let now: KeyState
    try {
      now = await look()
    } catch (error) {
      // asked again at the next sync or change; until then what was known stays
      if (failureOf(error).isTransient || isClosed) return
      throw failureOf(error)
    }
    if (now === state || isClosed) return
    state = now
    changed.emit(state)
  }
  const again = coalesce(() => {
    if (isBegun) void refresh().catch(() => undefined)
  })
  const onRemaining = (count: number): void => {
    remaining = count
  }
  client.on(CryptoEvent.KeysChanged, again.mark)
  client.on(CryptoEvent.KeyBackupStatus, again.mark)
  client.on(CryptoEvent.UserTrustStatusChanged, again.mark)
  client.on(CryptoEvent.KeyBackupSessionsRemaining, onRemaining)

  const authorize =
    (password: string | undefined): UIAuthCallback<void> =>
    async (makeRequest) => {
      await throughStages(
        (auth) => makeRequest(auth ?? null),
        (stage) => {
          if (stage === 'm.login.dummy') return {}
          if (stage === 'm.login.password' && password !== undefined) {
            return { identifier: { type: 'm.id.user', user: userId }, password }
          }
          return undefined
        },
      )
    }

  const hold = (generated: GeneratedSecretStorageKey): string => {
    const shown = generated.encodedPrivateKey
    if (!shown) throw new Failure('unknown', { message: 'the recovery key could not be written down' })
    return shown
  }

  const makeStorage = async (): Promise<string> => {
    const generated = await crypto.createRecoveryKeyFromPassphrase()
    // where the account has a backup that this device can read, it is kept, and only the key to it is new
    const keepsBackup = (await crypto.getActiveSessionBackupVersion()) !== null
    await crypto.bootstrapSecretStorage({
      createSecretStorageKey: () => Promise.resolve(generated),
      setupNewSecretStorage: true,
      setupNewKeyBackup: !keepsBackup,
    })
    await crypto.checkKeyBackupAndEnable()
    return hold(generated)
  }

  const forgetKey = (): void => {
    holder.key?.fill(0)
    holder.key = undefined
    holder.keyId = undefined
  }

  return {
    state: () => state,
    onChange: changed.on,
    refresh,
    setUp: async (password) => {
      try {
        const hasKeys = await crypto.userHasCrossSigningKeys(userId, true)
        // where there is a recovery key already, this would ask for it; a device that holds the keys needs no other
        if (!hasKeys || !(await holdsCrossSigningKeys())) {
          await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: authorize(password) })
        }
        return await makeStorage()
      } catch (error) {
        throw failureOf(error)
      } finally {
        forgetKey()
        again.mark()
      }
    },
    unlock: async (recoveryKey, onProgress) => {
      onProgress({ step: 'checking', done: 0, total: 0 })
      const key = readRecoveryKey(recoveryKey)
      try {
        const stored = await client.secretStorage.getKey()
        if (!stored) throw new Failure('notFound')
        const [keyId, info] = stored
        if (!(await client.secretStorage.checkKey(key, info))) throw new Failure('wrongKey')
        holder.keyId = keyId
        holder.key = key
        onProgress({ step: 'trusting', done: 0, total: 0 })
        // without this query the import fails on a fresh device, every time
        await crypto.userHasCrossSigningKeys(userId, true)
        await crypto.bootstrapCrossSigning({})
        await restoreMessages(onProgress)
        onProgress({ step: 'done', done: 0, total: 0 })
      } catch (error) {
        throw failureOf(error)
      } finally {
        forgetKey()
        again.mark()
      }
    },
    startAnew: async (password) => {
      try {
        await crypto.resetEncryption(authorize(password))
        return await makeStorage()
      } catch (error) {
        throw failureOf(error)
      } finally {
        forgetKey()
        again.mark()
      }
    },
    isSafeToLeave: async () => {
      await refresh()
      return state === 'ready' && remaining === 0
    },
    close: () => {
      isClosed = true
      again.cancel()
      forgetKey()
      client.off(CryptoEvent.KeysChanged, again.mark)
      client.off(CryptoEvent.KeyBackupStatus, again.mark)
      client.off(CryptoEvent.UserTrustStatusChanged, again.mark)
      client.off(CryptoEvent.KeyBackupSessionsRemaining, onRemaining)
    },
  }

  async function restoreMessages(onProgress: (progress: RestoreProgress) => void): Promise<void> {
    if ((await crypto.getKeyBackupInfo()) === null) return
    onProgress({ step: 'fetching', done: 0, total: 0 })
    await crypto.loadSessionBackupPrivateKeyFromSecretStorage()
    await crypto.checkKeyBackupAndEnable()
    await crypto.restoreKeyBackup({
      progressCallback: (progress) => {
        if (progress.stage === 'fetch') return
        onProgress({ step: 'reading', done: progress.successes + progress.failures, total: progress.total })
      },
    })
  }
}

/** Reads what the person typed or pasted: any spaces and line breaks may be in it. Throws `wrongKey`. */
export function readRecoveryKey(typed: string): Uint8Array<ArrayBuffer> {
  try {
    return decodeRecoveryKey(typed.replace(/\s+/g, ''))
  } catch (cause) {
    throw new Failure('wrongKey', { cause })
  }
}
