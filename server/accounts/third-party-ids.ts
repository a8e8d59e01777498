import { invalidParam, MatrixError } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import { accountRows, exactly, rowKey, thirdPartyIdRows } from './store.ts'

/** More belong to nobody. */
const MAX_PER_USER = 20

/** An address of a user, who has shown that it is theirs. `medium` is `email`: we can send nothing else. */
export interface ThirdPartyId {
  readonly medium: 'email'
  readonly address: string
  /** When its owner opened the link in a mail. */
  readonly validatedTs: number
  readonly addedTs: number
}

/** Addresses by which users log in and get their account back. Spec: client-server-api §Adding Account Administrative Contact Information. */
export interface ThirdPartyIds {
  list(userId: string): Promise<readonly ThirdPartyId[]>
  /** Whose it is. Any spelling of an address will do. */
  findOwner(medium: string, address: string): Promise<string | undefined>
  /** Nothing changes where it is the user's already. @throws MatrixError 400 M_THREEPID_IN_USE where it is another's */
  add(userId: string, id: { readonly address: string; readonly validatedTs: number }): Promise<void>
  /** Removing what is not there changes nothing. */
  remove(userId: string, medium: string, address: string): Promise<void>
  /**
   * Does work that makes the account whose address it will be.
   * @param work commits the given change together with its own
   * @throws MatrixError as `add`
   */
  claim<T>(
    id: { readonly address: string; readonly validatedTs: number },
    work: (opsFor: (userId: string) => readonly Op[]) => Promise<T>,
  ): Promise<T>
}

/**
 * The one spelling of an address that stands for all: case folding as Unicode has it.
 * Spec: appendices §E-Mail. Mails go to this spelling and no other: two addresses that fold to the same may be two people's.
 */
export function canonicalEmail(address: string): string {
  // Large letters and back make one of what small letters alone leave apart (ß and ss).
  return address.normalize('NFC').toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ')
}

/** All of a user go with the account. */
export async function removalOfThirdPartyIds(store: Store, userId: string): Promise<readonly Op[]> {
  const rows = await store.home.range(thirdPartyIdRows, exactly('userId', userId))
  return rows.map((row) => remove(thirdPartyIdRows, row.id))
}

const inUse = (): MatrixError =>
  new MatrixError('M_THREEPID_IN_USE', 400, 'This address belongs to another account of this server')

export function createThirdPartyIds({
  store,
  environment: { clock },
}: {
  store: Store
  environment: Environment
}): ThirdPartyIds {
  const idOf = (medium: string, address: string): string => rowKey(medium, canonicalEmail(address))
  const find = (medium: string, address: string) => store.home.get(thirdPartyIdRows, idOf(medium, address))
  /** One lock for all addresses, held for one commit: which of two gets an address is a question about both. */
  const inLock = <T>(work: () => Promise<T>): Promise<T> => store.exclusive('accounts:third-party-ids', work)
  const putting = (userId: string, { address, validatedTs }: { address: string; validatedTs: number }): Op =>
    put(thirdPartyIdRows, {
      id: idOf('email', address),
      userId,
      address: canonicalEmail(address),
      validatedTs,
      addedTs: clock.now(),
    })

  return {
    async list(userId) {
      const rows = await store.home.range(thirdPartyIdRows, exactly('userId', userId))
      return rows.map(({ address, validatedTs, addedTs }) => ({ medium: 'email', address, validatedTs, addedTs }))
    },

    findOwner: async (medium, address) => (await find(medium, address))?.userId,

    async add(userId, id) {
      await inLock(async () => {
        const row = await find('email', id.address)
        if (row && row.userId !== userId) throw inUse()
        if (row) return
        const account = await store.home.get(accountRows, userId)
        if (!account || account.isDeactivated) throw inUse()
        if ((await store.home.count(thirdPartyIdRows, exactly('userId', userId))) >= MAX_PER_USER) {
          throw invalidParam(`An account has at most ${MAX_PER_USER} addresses`)
        }
        await store.commit(() => [putting(userId, id)])
      })
    },

    async remove(userId, medium, address) {
      await inLock(async () => {
        const row = await find(medium, address)
        if (row?.userId === userId) await store.commit(() => [remove(thirdPartyIdRows, row.id)])
      })
    },

    claim: (id, work) =>
      inLock(async () => {
        if (await find('email', id.address)) throw inUse()
        return work((userId) => [putting(userId, id)])
      }),
  }
}
