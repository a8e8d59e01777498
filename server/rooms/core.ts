import type { AccountsForReaders } from '../accounts/index.ts'
import type { Peers } from '../federation/index.ts'
import type { IsKeyValid } from '../identity/index.ts'
import type { MediaReferences } from '../media/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { InviteThrottle, PolicyServers } from '../policy/index.ts'
import type { SigningKey } from '../protocol/signing-key.ts'
import type { Store } from '../store/index.ts'
import type { Announcer } from './announcer.ts'
import type { Move } from './contract.ts'
import type { Erasures } from './erasures.ts'
import type { Memberships } from './memberships.ts'
import type { Retention } from './retention.ts'

/** The limits and defaults that the server's configuration decides. */
export interface RoomsConfig {
  /** Version of rooms whose creator names none. */
  readonly defaultRoomVersion: string
}

/**
 * What application services have for themselves, and make when somebody asks for it. Given by `app/`, answered by
 * `appservices/`; without it nobody has anything. Spec: application-service-api §Registration, §Querying.
 */
export interface Claims {
  /**
   * @param appserviceId the application service that asks, `null` for everybody else
   * @throws MatrixError 400 M_EXCLUSIVE
   */
  requireMayUseAlias(alias: string, appserviceId: string | null): void
  /** Whether the user, who may be of any server, is one that the application service acts as. */
  ownsUser(appserviceId: string, userId: string): boolean
  /** Gives those who may have the alias the chance to make it. @throws MatrixError 408 where one should have, and did not answer */
  askForAlias(alias: string): Promise<void>
  /** The same for a user. */
  askForUser(userId: string): Promise<void>
}

/** What all parts of `rooms/` share. */
export interface RoomsCore {
  readonly environment: Environment
  readonly store: Store
  readonly signingKey: SigningKey
  readonly accounts: AccountsForReaders
  readonly config: RoomsConfig
  /** Other servers; without them nobody but our own users is reached. */
  readonly peers: Peers | undefined
  readonly claims: Claims | undefined
  readonly policyServers: PolicyServers | undefined
  readonly inviteThrottle: InviteThrottle
  /** Asks identity servers; without it, keys that somebody would have to be asked about are not valid. */
  readonly isKeyValid: IsKeyValid | undefined
  readonly announcer: Announcer
  readonly memberships: Memberships
  readonly retention: Retention
  readonly erasures: Erasures
  /** Our users who want their messages hidden from whoever was not there. Spec: client-server-api §POST /account/deactivate, `erase`. */
  readonly erased: Set<string>
  /** Told which files events name; without it files stay when their messages go. */
  readonly media: MediaReferences | undefined
  /** By room ID: the stream position of its last change, never too low. All rooms that this server knows are in it. */
  readonly changes: Map<string, number>
  /** By room ID: the stream position of its last event that other servers are to have from us; only rooms with one. */
  readonly owedChanges: Map<string, number>
  /** Told when a user came to the room that replaces one of theirs. */
  readonly moveListeners: Set<(move: Move) => Promise<void>>
  /** Fetches the members of a room that was joined without them. @returns when that was tried once */
  fetchMembers(roomId: string): Promise<void>
  isLocal(userId: string): boolean
}
