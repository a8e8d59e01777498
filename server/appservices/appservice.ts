import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Namespace, Registration } from './registration.ts'

/** How many user IDs it is remembered of whether they are the application service's. */
const MAX_REMEMBERED_USERS = 10_000

/** One application service: who it is, and what is its own. Spec: application-service-api §Registration. */
export class Appservice {
  readonly id: string
  readonly registration: Registration
  /** The user that its `sender_localpart` makes. */
  readonly userId: string
  /** Without a slash at its end; `null`: it wants no traffic. */
  readonly url: string | null
  readonly receivesEphemeral: boolean
  /** Where in a transaction ephemeral data is, by the version of the proposal that the registration speaks. */
  readonly ephemeralKey: 'ephemeral' | 'de.sorunome.msc2409.ephemeral'
  readonly receivesKeys: boolean
  readonly #serverName: string
  readonly #users: readonly Namespace[]
  readonly #aliases: readonly Namespace[]
  readonly #rooms: readonly Namespace[]
  readonly #remembered = new Map<string, boolean>()

  constructor(registration: Registration, serverName: string) {
    const { namespaces, url } = registration
    this.id = registration.id
    this.registration = registration
    this.userId = `@${registration.sender_localpart}:${serverName}`
    this.url = url === null || url === '' ? null : url.replace(/\/+$/, '')
    this.receivesEphemeral =
      registration.receive_ephemeral === true || registration['de.sorunome.msc2409.push_ephemeral'] === true
    this.ephemeralKey = registration.receive_ephemeral === true ? 'ephemeral' : 'de.sorunome.msc2409.ephemeral'
    this.receivesKeys = registration['org.matrix.msc3202'] ?? false
    this.#serverName = serverName
    this.#users = namespaces.users
    this.#aliases = namespaces.aliases
    this.#rooms = namespaces.rooms
  }

  /** Users of other servers never are, whatever the namespaces say. */
  ownsUser(userId: string): boolean {
    if (userId === this.userId) return true
    if (this.#users.length === 0 || serverNameOf(userId) !== this.#serverName) return false
    const remembered = this.#remembered.get(userId)
    if (remembered !== undefined) return remembered
    const owns = this.#users.some(({ matches }) => matches(userId))
    if (this.#remembered.size >= MAX_REMEMBERED_USERS) this.#remembered.clear()
    this.#remembered.set(userId, owns)
    return owns
  }

  hasUserToItself(userId: string): boolean {
    if (userId === this.userId) return true
    return (
      serverNameOf(userId) === this.#serverName &&
      this.#users.some(({ matches, isExclusive }) => isExclusive && matches(userId))
    )
  }

  ownsAlias(alias: string): boolean {
    return this.#aliases.some(({ matches }) => matches(alias))
  }

  hasAliasToItself(alias: string): boolean {
    return this.#aliases.some(({ matches, isExclusive }) => isExclusive && matches(alias))
  }

  ownsRoom(roomId: string): boolean {
    return this.#rooms.some(({ matches }) => matches(roomId))
  }

  get hasAliases(): boolean {
    return this.#aliases.length > 0
  }
}
