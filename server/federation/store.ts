import { collection } from '../store/index.ts'

/** The newest key document of another server. */
export type ServerKeysRow = {
  readonly serverName: string
  /** As the server signed it. */
  readonly document: string
  readonly fetchedTs: number
  /** JSON of keys by ID that earlier documents had and this one lacks. */
  readonly earlier: string
}

export const serverKeys = collection<ServerKeysRow>({
  name: 'server-keys',
  place: 'home',
  key: 'serverName',
  indexes: ['fetchedTs'],
})

/** Servers that this home has nothing to do with. */
export type BlockedServerRow = {
  /** Lower-case; a glob. */
  readonly pattern: string
  readonly reason: string
  readonly blockedBy: string
  readonly createdTs: number
}

export const blockedServers = collection<BlockedServerRow>({
  name: 'blocked-servers',
  place: 'home',
  key: 'pattern',
  indexes: [],
})
