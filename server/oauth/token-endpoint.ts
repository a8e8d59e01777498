import { hash } from 'node:crypto'
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Accounts, Session } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import { AUTHORIZATION_CODE, DEVICE_CODE, REFRESH_TOKEN } from './client-metadata.ts'
import type { Client, Clients } from './clients.ts'
import type { DeviceCodes } from './device-codes.ts'
import { OAuthError } from './errors.ts'
import { secretHash } from './secrets.ts'
import { codeRows, deviceCodeRows } from './store.ts'

/** RFC 7636 §4.1. */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/

/** Tokens as a client gets them. */
export interface GrantedTokens {
  readonly session: Session
  readonly scope: string
}

/** The token and revocation endpoints. Spec: client-server-api §Grant types, §Token revocation. */
export interface TokenEndpoint {
  /** @throws OAuthError */
  grant(parameters: Readonly<Record<string, string | undefined>>): Promise<GrantedTokens>
  /** RFC 7009: tokens that are not ours, or were revoked before, are no error. */
  revoke(token: string): Promise<void>
}

const invalidGrant = (message: string): OAuthError => new OAuthError('invalid_grant', message)

export function createTokenEndpoint({
  environment,
  store,
  accounts,
  clients,
  deviceCodes,
}: {
  environment: Environment
  store: Store
  accounts: Pick<Accounts, 'oauthSessions' | 'removeDevices' | 'findDevice'>
  clients: Clients
  deviceCodes: DeviceCodes
}): TokenEndpoint {
  const { clock, logger } = environment
  const { oauthSessions } = accounts

  /** @param used what makes sure that the same grant does not open a second session */
  async function open(
    client: Client,
    granted: { userId: string; deviceId: string; scope: string },
    used: readonly Op[],
  ): Promise<GrantedTokens> {
    const { userId, deviceId, scope } = granted
    const session = await oauthSessions.open({
      userId,
      session: {
        deviceId,
        initialDeviceDisplayName: client.client_name ?? new URL(client.client_uri).hostname,
        wantsRefreshToken: true,
        oauth: { clientId: client.clientId, scope },
      },
      alsoCommit: used,
    })
    return { session, scope }
  }

  async function exchangeCode(parameters: Readonly<Record<string, string | undefined>>): Promise<GrantedTokens> {
    const client = await clients.require(parameters.client_id ?? '', AUTHORIZATION_CODE)
    const codeHash = secretHash(required(parameters, 'code'))
    const verifier = required(parameters, 'code_verifier')
    const redirectUri = required(parameters, 'redirect_uri')
    return store.exclusive(`oauth:code:${codeHash}`, async () => {
      const row = await store.home.get(codeRows, codeHash)
      if (!row || row.clientId !== client.clientId) throw invalidGrant('Unknown authorization code')
      if (row.isUsed) {
        // Whoever came first may be the thief: RFC 6749 §4.1.2.
        const device = await accounts.findDevice(row.userId, row.deviceId)
        if (device?.oauthClientId === client.clientId) await accounts.removeDevices(row.userId, [row.deviceId])
        logger.warn({ event: 'oauth.code_reused', userId: row.userId, deviceId: row.deviceId })
        throw invalidGrant('The authorization code has been used before')
      }
      if (row.expiresTs <= clock.now()) throw invalidGrant('The authorization code has expired')
      if (row.redirectUri !== redirectUri)
        throw invalidGrant('The redirect URI is not that of the authorization request')
      if (!VERIFIER.test(verifier) || hash('sha256', verifier, 'base64url') !== row.codeChallenge) {
        throw invalidGrant('The code verifier does not fit the code challenge')
      }
      return open(client, row, [put(codeRows, { ...row, isUsed: true })])
    })
  }

  async function pollDevice(parameters: Readonly<Record<string, string | undefined>>): Promise<GrantedTokens> {
    const client = await clients.require(parameters.client_id ?? '', DEVICE_CODE)
    const deviceCode = required(parameters, 'device_code')
    return store.exclusive(`oauth:code:${secretHash(deviceCode)}`, async () => {
      const row = await deviceCodes.poll(deviceCode, client.clientId)
      return open(client, row, [remove(deviceCodeRows, row.hash)])
    })
  }

  async function refresh(parameters: Readonly<Record<string, string | undefined>>): Promise<GrantedTokens> {
    const client = await clients.require(parameters.client_id ?? '', REFRESH_TOKEN)
    return oauthSessions.refresh(required(parameters, 'refresh_token'), client.clientId)
  }

  return {
    async grant(parameters) {
      const type = required(parameters, 'grant_type')
      try {
        if (type === AUTHORIZATION_CODE) return await exchangeCode(parameters)
        if (type === DEVICE_CODE) return await pollDevice(parameters)
        if (type === REFRESH_TOKEN) return await refresh(parameters)
      } catch (error) {
        // What accounts say against the session; too many requests stay what they are.
        if (error instanceof MatrixError && error.status < 429) throw invalidGrant(error.message)
        throw error
      }
      throw new OAuthError('unsupported_grant_type', 'This grant type is not offered')
    },

    revoke: oauthSessions.revoke,
  }
}

function required(parameters: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = parameters[name]
  if (value === undefined || value === '') throw new OAuthError('invalid_request', `'${name}' is missing`)
  return value
}
