import { invalidParam } from '../../shared/matrix/errors.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { type Op, orderKey, put, remove, type Store } from '../store/index.ts'
import { type FallbackKeyRow, fallbackKeyRows, keysBelow, type OneTimeKeyRow, oneTimeKeyRows, rowKey } from './store.ts'

/** More unclaimed keys than this are refused: no client holds more than some hundred. */
const MAX_KEYS_PER_DEVICE = 5_000
/** How many devices' counts are kept in memory. */
const MAX_COUNTED_DEVICES = 10_000

/** A key by its full name (`<algorithm>:<key id>`), as it was uploaded. */
export type NamedKey = { readonly name: string; readonly key: string | JsonObject }

interface Counted {
  readonly byAlgorithm: Map<string, number>
  readonly unusedFallback: Set<string>
}

/**
 * One-time keys, given out once each in the order of their upload, and fallback keys for when there are none left.
 * Spec: client-server-api §One-time and fallback keys.
 */
export class OneTimeKeys {
  readonly #store: Store
  readonly #counted = new Map<string, Counted>()

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * Stores new keys; the same key again is no error, another under a name that is taken is.
   * @throws MatrixError 400 M_INVALID_PARAM, and nothing is stored
   */
  async upload(
    userId: string,
    deviceId: string,
    oneTimeKeys: JsonObject,
    fallbackKeys: JsonObject,
    alongside: (position: number) => readonly Op[],
  ): Promise<number> {
    const device = rowKey(userId, deviceId)
    return this.alone(userId, deviceId, async () => {
      const counted = await this.#count(userId, deviceId)
      const fresh: { id: string; algorithm: string; keyId: string; json: string }[] = []
      for (const { name, key } of namedKeys(oneTimeKeys)) {
        const { algorithm, keyId } = splitName(name)
        const id = rowKey(userId, deviceId, algorithm, keyId)
        const json = JSON.stringify(key)
        // A device without keys, which is what most uploads come from, has none of this name either.
        const existing = counted.byAlgorithm.get(algorithm) ? await this.#store.home.get(oneTimeKeyRows, id) : undefined
        if (existing === undefined) fresh.push({ id, algorithm, keyId, json })
        else if (existing.json !== json) throw invalidParam(`There is another one-time key named ${name}`)
      }
      const held = [...counted.byAlgorithm.values()].reduce((sum, n) => sum + n, 0)
      if (held + fresh.length > MAX_KEYS_PER_DEVICE) throw invalidParam('Too many one-time keys for one device')
      const fallback = namedKeys(fallbackKeys).map(({ name, key }) => ({
        ...splitName(name),
        json: JSON.stringify(key),
      }))
      if (new Set(fallback.map((key) => key.algorithm)).size !== fallback.length) {
        throw invalidParam('At most one fallback key for each algorithm')
      }
      const newFallback: FallbackKeyRow[] = []
      for (const { algorithm, keyId, json } of fallback) {
        const id = rowKey(userId, deviceId, algorithm)
        const existing = await this.#store.home.get(fallbackKeyRows, id)
        if (existing?.keyId === keyId && existing.json === json) continue
        newFallback.push({ id, device, algorithm, keyId, json, isUsed: false })
      }
      const position = await this.#store.commit((at) => {
        // The same text for all keys of an algorithm, not a copy for each: there are fifty at a time, and all are in memory.
        const queues = new Map(
          [...new Set(fresh.map(({ algorithm }) => algorithm))].map((algorithm) => [
            algorithm,
            { algorithm, queue: orderKey(rowKey(userId, deviceId, algorithm), at) },
          ]),
        )
        return [
          ...fresh.map((key) =>
            put(oneTimeKeyRows, {
              ...key,
              ...(queues.get(key.algorithm) as Pick<OneTimeKeyRow, 'algorithm' | 'queue'>),
            }),
          ),
          ...newFallback.map((row) => put(fallbackKeyRows, row)),
          ...alongside(at),
        ]
      })
      for (const { algorithm } of fresh) {
        counted.byAlgorithm.set(algorithm, (counted.byAlgorithm.get(algorithm) ?? 0) + 1)
      }
      for (const { algorithm } of newFallback) counted.unusedFallback.add(algorithm)
      return position
    })
  }

  /** The oldest one-time key of the algorithm, which nobody else will get; else the fallback key; else `undefined`. */
  async claim(userId: string, deviceId: string, algorithm: string): Promise<NamedKey | undefined> {
    return this.alone(userId, deviceId, async () => {
      const counted = await this.#count(userId, deviceId)
      const prefix = rowKey(userId, deviceId, algorithm)
      const [next] = await this.#store.home.range<OneTimeKeyRow>(oneTimeKeyRows, {
        index: 'queue',
        from: orderKey(prefix, 0),
        to: orderKey(prefix, Number.MAX_SAFE_INTEGER),
        limit: 1,
      })
      if (next) {
        await this.#store.commit(() => [remove(oneTimeKeyRows, next.id)])
        const left = (counted.byAlgorithm.get(algorithm) ?? 1) - 1
        if (left > 0) counted.byAlgorithm.set(algorithm, left)
        else counted.byAlgorithm.delete(algorithm)
        return { name: `${algorithm}:${next.keyId}`, key: JSON.parse(next.json) }
      }
      const fallback = await this.#store.home.get(fallbackKeyRows, rowKey(userId, deviceId, algorithm))
      if (!fallback) return undefined
      if (!fallback.isUsed) {
        await this.#store.commit(() => [put(fallbackKeyRows, { ...fallback, isUsed: true })])
        counted.unusedFallback.delete(algorithm)
      }
      return { name: `${algorithm}:${fallback.keyId}`, key: JSON.parse(fallback.json) }
    })
  }

  /** Unclaimed keys by algorithm; `signed_curve25519` is always named, because clients wait for its zero. */
  async counts(userId: string, deviceId: string): Promise<Readonly<Record<string, number>>> {
    const { byAlgorithm } = await this.#known(userId, deviceId)
    return Object.fromEntries([['signed_curve25519', 0], ...byAlgorithm])
  }

  async unusedFallbackTypes(userId: string, deviceId: string): Promise<readonly string[]> {
    return [...(await this.#known(userId, deviceId)).unusedFallback]
  }

  /** Runs a work during which nobody else uploads or claims keys of the device. Not re-entrant. */
  alone<T>(userId: string, deviceId: string, work: () => Promise<T>): Promise<T> {
    return this.#store.exclusive(`one-time-keys ${rowKey(userId, deviceId)}`, work)
  }

  /** What removes all keys of a device; to be called and committed within `alone`, with `forget` after the commit. */
  async removalOf(userId: string, deviceId: string): Promise<readonly Op[]> {
    const { oneTime, fallback } = await this.#rows(userId, deviceId)
    return [
      ...oneTime.map((row) => remove(oneTimeKeyRows, row.id)),
      ...fallback.map((row) => remove(fallbackKeyRows, row.id)),
    ]
  }

  forget(userId: string, deviceId: string): void {
    this.#counted.delete(rowKey(userId, deviceId))
  }

  async #known(userId: string, deviceId: string): Promise<Counted> {
    return (
      this.#counted.get(rowKey(userId, deviceId)) ?? this.alone(userId, deviceId, () => this.#count(userId, deviceId))
    )
  }

  /** Within `alone`: what is counted is what those who upload and claim go on from. */
  async #count(userId: string, deviceId: string): Promise<Counted> {
    const device = rowKey(userId, deviceId)
    const known = this.#counted.get(device)
    if (known) return known
    const counted: Counted = { byAlgorithm: new Map(), unusedFallback: new Set() }
    const { oneTime, fallback } = await this.#rows(userId, deviceId)
    for (const { algorithm } of oneTime) {
      counted.byAlgorithm.set(algorithm, (counted.byAlgorithm.get(algorithm) ?? 0) + 1)
    }
    for (const row of fallback) if (!row.isUsed) counted.unusedFallback.add(row.algorithm)
    if (this.#counted.size >= MAX_COUNTED_DEVICES) this.#counted.delete(this.#counted.keys().next().value ?? '')
    this.#counted.set(device, counted)
    return counted
  }

  async #rows(userId: string, deviceId: string) {
    const device = rowKey(userId, deviceId)
    const [oneTime, fallback] = await Promise.all([
      this.#store.home.range(oneTimeKeyRows, { index: 'queue', ...keysBelow(userId, deviceId) }),
      this.#store.home.range(fallbackKeyRows, { index: 'device', from: device, to: `${device}\u0000` }),
    ])
    return { oneTime, fallback }
  }
}

function namedKeys(keys: JsonObject): readonly NamedKey[] {
  return Object.entries(keys).map(([name, key]) => {
    if (typeof key === 'string') return { name, key }
    if (typeof key !== 'object' || key === null || Array.isArray(key)) {
      throw invalidParam(`The key ${name} is neither a string nor an object`)
    }
    return { name, key: key as JsonObject }
  })
}

function splitName(name: string): { algorithm: string; keyId: string } {
  const colon = name.indexOf(':')
  if (colon < 1 || colon === name.length - 1 || name.length > 255) {
    throw invalidParam('Names of one-time keys have the form <algorithm>:<key id>')
  }
  return { algorithm: name.slice(0, colon), keyId: name.slice(colon + 1) }
}
