import type { Accounts } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { Store } from '../store/index.ts'
import { type Authorization, createAuthorization } from './authorization.ts'
import { type BrowserSessions, createBrowserSessions } from './browser-sessions.ts'
import { type Clients, createClients } from './clients.ts'
import { createDeviceCodes, type DeviceCodes } from './device-codes.ts'
import { createLoginTokens, type LoginTokens } from './login-tokens.ts'
import { createResetApprovals, type ResetApprovals } from './reset-approvals.ts'
import { createTokenEndpoint, type TokenEndpoint } from './token-endpoint.ts'
import { startUpkeep } from './upkeep.ts'

/** The authorization server. Spec: client-server-api §OAuth 2.0 API. */
export interface OAuth extends AsyncDisposable {
  readonly clients: Clients
  readonly authorization: Authorization
  readonly deviceCodes: DeviceCodes
  readonly tokens: TokenEndpoint
  readonly browserSessions: BrowserSessions
  readonly resetApprovals: ResetApprovals
  readonly loginTokens: LoginTokens
}

/** @param issuer as the metadata names it; asked for only while requests are served */
export function createOAuth(given: {
  environment: Environment
  store: Store
  accounts: Accounts
  issuer: () => string
}): OAuth {
  const clients = createClients(given)
  const deviceCodes = createDeviceCodes({ ...given, clients })
  const upkeep = startUpkeep({ ...given, clients })
  return {
    clients,
    deviceCodes,
    authorization: createAuthorization({ ...given, clients }),
    tokens: createTokenEndpoint({ ...given, clients, deviceCodes }),
    browserSessions: createBrowserSessions(given),
    resetApprovals: createResetApprovals(given),
    loginTokens: createLoginTokens(given),
    [Symbol.asyncDispose]: () => upkeep[Symbol.asyncDispose](),
  }
}
