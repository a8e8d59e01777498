import { createECDH } from 'node:crypto'
import type { Random } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import { type VapidRow, vapidRows } from './store.ts'

/** A P-256 key pair in unpadded URL-safe Base64: the point uncompressed, the number in 32 bytes. */
export interface VapidPair {
  readonly publicKey: string
  readonly privateKey: string
  /** Whom a push service may turn to (RFC 8292, `sub`). */
  readonly contact: string
}

export interface VapidKeys {
  /** The same pair for ever; made when it is first asked for. */
  get(): Promise<VapidPair>
}

/** @param contact an `https:` or `mailto:` URL */
export function createVapidKeys(deps: {
  readonly store: Store
  readonly random: Random
  readonly contact: () => string
}): VapidKeys {
  const { store, random, contact } = deps
  let known: VapidRow | undefined

  const findOrMake = (): Promise<VapidRow> =>
    store.exclusive('vapid-key', async () => {
      const kept = await store.home.get(vapidRows, 'vapid')
      if (kept) return kept
      const made = makePair(random)
      await store.commit(() => [put(vapidRows, made)])
      return made
    })

  return {
    async get() {
      known ??= await findOrMake()
      return { publicKey: known.publicKey, privateKey: known.privateKey, contact: contact() }
    },
  }
}

function makePair(random: Random): VapidRow {
  const curve = createECDH('prime256v1')
  // All but one in 2^32 numbers of this length are private keys.
  for (;;) {
    const privateKey = random.bytes(32)
    try {
      curve.setPrivateKey(privateKey)
    } catch {
      continue
    }
    return {
      id: 'vapid',
      publicKey: curve.getPublicKey().toString('base64url'),
      privateKey: privateKey.toString('base64url'),
    }
  }
}
