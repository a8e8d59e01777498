import { getWellknownPolicy } from '../../../shared/api/client/policy_server.ts'
import { getWellknownSupport } from '../../../shared/api/client/support.ts'
import { getWellknown } from '../../../shared/api/client/wellknown.ts'
import { getWellKnown } from '../../../shared/api/federation/wellknown.ts'
import { notFound } from '../../../shared/matrix/errors.ts'
import { type Route, route } from '../../http/route.ts'

/** What the server publishes about where it is. */
export interface WellKnown {
  /** Where clients reach it, known once the listeners are bound; `null`: it serves no clients. */
  readonly baseUrl: () => string | null
  /** Host and port for other servers; `null`: by the server name alone. */
  readonly federationName: () => string | null
  readonly support: {
    readonly contacts?: readonly {
      readonly role: string
      readonly matrix_id?: string
      readonly email_address?: string
    }[]
    readonly support_page?: string
  } | null
}

/** Spec: client-server-api §Well-known URI; server-server-api §Resolving server names, step 3. */
export function wellKnownRoutes(wellKnown: WellKnown): readonly Route[] {
  return [
    route(getWellknown, async () => {
      const baseUrl = wellKnown.baseUrl()
      if (baseUrl === null) throw notFound('This server serves no clients')
      return { 'm.homeserver': { base_url: baseUrl } }
    }),
    route(getWellknownSupport, async () => {
      if (!wellKnown.support) throw notFound('This server publishes no contacts')
      const { contacts, support_page } = wellKnown.support
      return { ...(contacts && { contacts: [...contacts] }), ...(support_page !== undefined && { support_page }) }
    }),
    route(getWellknownPolicy, async () => {
      throw notFound('There is no policy server of this name')
    }),
    route(getWellKnown, async () => {
      const name = wellKnown.federationName()
      if (name === null) throw notFound('This server is found by its name alone')
      return { 'm.server': name }
    }),
  ]
}
