import { forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import { type RegistrationTokenRow, registrationTokenRows } from './store.ts'
import { bareCode, newCode } from './typed-code.ts'

const DAY_MS = 24 * 60 * 60_000
const DEFAULT_LIFETIME_MS = 7 * DAY_MS
/** How long one that is no longer good is still listed. */
const LISTED_AFTER_MS = 30 * DAY_MS
const MAX_TOKENS = 1_000

/** Lets somebody make an account where registration is closed. Spec: client-server-api §Token-authenticated registration. */
export interface RegistrationToken {
  readonly token: string
  /** For whom it is, in the words of who made it. */
  readonly note: string
  readonly usesAllowed: number
  readonly uses: number
  readonly createdBy: string
  readonly createdTs: number
  readonly expiresTs: number
  readonly isValid: boolean
}

export interface NewRegistrationToken {
  readonly usesAllowed?: number | undefined
  readonly lifetimeMs?: number | undefined
  readonly note?: string | undefined
}

export interface RegistrationTokens {
  /** Good for one account and a week unless it says otherwise. @throws MatrixError 400 M_INVALID_PARAM where there are very many */
  create(wish: NewRegistrationToken, by: string): Promise<RegistrationToken>
  /** Those that expire last come first. */
  list(): Promise<readonly RegistrationToken[]>
  /** @throws MatrixError 404 M_NOT_FOUND */
  revoke(token: string): Promise<void>
  isValid(token: string): Promise<boolean>
  /** Whether there is any that is still good. */
  hasValid(): Promise<boolean>
  /**
   * Does work that uses a token up.
   * @param work commits the given change together with its own; the token can neither be revoked nor used meanwhile
   * @throws MatrixError 403 M_FORBIDDEN for a token that is not valid (any more)
   */
  use<T>(token: string, work: (ops: readonly Op[]) => Promise<T>): Promise<T>
}

export function createRegistrationTokens({
  environment: { clock, random },
  store,
}: {
  environment: Environment
  store: Store
}): RegistrationTokens {
  const isGood = (row: RegistrationTokenRow): boolean => row.uses < row.usesAllowed && row.expiresTs > clock.now()
  const shown = ({ code: _code, ...row }: RegistrationTokenRow): RegistrationToken => ({
    ...row,
    isValid: row.uses < row.usesAllowed && row.expiresTs > clock.now(),
  })
  const inLockOf = <T>(code: string, work: () => Promise<T>): Promise<T> =>
    store.exclusive(`registration-token:${code}`, work)

  async function findGood(code: string): Promise<RegistrationTokenRow | undefined> {
    const row = await store.home.get(registrationTokenRows, code)
    return row && isGood(row) ? row : undefined
  }

  return {
    async create({ usesAllowed = 1, lifetimeMs = DEFAULT_LIFETIME_MS, note = '' }, by) {
      const now = clock.now()
      const old = await store.home.range(registrationTokenRows, { index: 'expiresTs', to: now - LISTED_AFTER_MS })
      if ((await store.home.count(registrationTokenRows)) - old.length >= MAX_TOKENS) {
        throw invalidParam('There are too many registration tokens: revoke some')
      }
      const token = newCode(random)
      const row = { code: bareCode(token), token, note, usesAllowed, uses: 0, createdBy: by, createdTs: now }
      const made = { ...row, expiresTs: now + lifetimeMs }
      await store.commit(() => [
        put(registrationTokenRows, made),
        ...old.map(({ code }) => remove(registrationTokenRows, code)),
      ])
      return shown(made)
    },

    async list() {
      const rows = await store.home.range(registrationTokenRows, { index: 'expiresTs', direction: 'backward' })
      return rows.map(shown)
    },

    async revoke(token) {
      const code = bareCode(token)
      await inLockOf(code, async () => {
        if (!(await store.home.get(registrationTokenRows, code))) throw notFound('There is no such registration token')
        await store.commit(() => [remove(registrationTokenRows, code)])
      })
    },

    isValid: async (token) => (await findGood(bareCode(token))) !== undefined,

    async hasValid() {
      const rows = await store.home.range(registrationTokenRows, { index: 'expiresTs', from: clock.now() + 1 })
      return rows.some(isGood)
    },

    async use(token, work) {
      const code = bareCode(token)
      return inLockOf(code, async () => {
        const row = await findGood(code)
        if (!row) throw forbidden('This registration token is not valid any more')
        return work([put(registrationTokenRows, { ...row, uses: row.uses + 1 })])
      })
    },
  }
}
