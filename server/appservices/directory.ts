import { createHash } from 'node:crypto'
import { MatrixError } from '../../shared/matrix/errors.ts'
import { Appservice } from './appservice.ts'
import type { Registration } from './registration.ts'

const exclusive = (message: string): MatrixError => new MatrixError('M_EXCLUSIVE', 400, message)

/** All application services of this server, and what belongs to which. Spec: application-service-api §Registration. */
export class Directory {
  readonly all: readonly Appservice[]
  /** By SHA-256 of the token, so that looking one up tells nothing by its time. */
  readonly #byToken: ReadonlyMap<string, Appservice>

  constructor(registrations: readonly Registration[], serverName: string) {
    this.all = registrations.map((registration) => new Appservice(registration, serverName))
    this.#byToken = new Map(this.all.map((service) => [hashOf(service.registration.as_token), service]))
  }

  findById(id: string): Appservice | undefined {
    return this.all.find((service) => service.id === id)
  }

  findByToken(asToken: string): Appservice | undefined {
    return this.#byToken.size === 0 ? undefined : this.#byToken.get(hashOf(asToken))
  }

  /** Whether an application service has the user ID for itself. */
  isReservedUser(userId: string): boolean {
    return this.all.some((service) => service.hasUserToItself(userId))
  }

  /** @throws MatrixError 400 M_EXCLUSIVE for a user who is not the application service's, or is another's alone */
  requireOwnUser(service: Appservice, userId: string): void {
    if (!service.ownsUser(userId)) throw exclusive('The user is not in a namespace of the application service')
    if (!service.hasUserToItself(userId) && this.isReservedUser(userId)) {
      throw exclusive('The user is reserved by another application service')
    }
  }

  /**
   * @param appserviceId the application service that asks, `null` for everybody else
   * @throws MatrixError 400 M_EXCLUSIVE for an alias that is reserved, or outside of the namespaces of who asks
   */
  requireMayUseAlias(alias: string, appserviceId: string | null): void {
    const service = appserviceId === null ? undefined : this.findById(appserviceId)
    if (service && !service.ownsAlias(alias)) {
      throw exclusive('The alias is not in a namespace of the application service')
    }
    if (service?.hasAliasToItself(alias)) return
    if (this.all.some((other) => other.hasAliasToItself(alias))) {
      throw exclusive('The alias is reserved by an application service')
    }
  }
}

const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64')
