import { collection } from '../store/index.ts'

export type ClientRow = {
  readonly clientId: string
  /** The registered metadata as JSON text. */
  readonly json: string
  readonly createdTs: number
  /** When it was last registered, an hour old at most. */
  readonly registeredTs: number
}
export const clientRows = collection<ClientRow>({
  name: 'oauth-clients',
  place: 'home',
  key: 'clientId',
  indexes: ['registeredTs'],
})

export type CodeRow = {
  /** Of the authorization code. */
  readonly hash: string
  readonly clientId: string
  readonly redirectUri: string
  readonly codeChallenge: string
  readonly userId: string
  readonly deviceId: string
  readonly scope: string
  readonly isUsed: boolean
  readonly expiresTs: number
}
export const codeRows = collection<CodeRow>({
  name: 'oauth-codes',
  place: 'home',
  key: 'hash',
  indexes: ['expiresTs', 'clientId'],
})

export type DeviceCodeRow = {
  /** Of the device code. */
  readonly hash: string
  /** Without its hyphen. */
  readonly userCode: string
  readonly clientId: string
  readonly deviceId: string
  readonly scope: string
  readonly status: 'pending' | 'approved' | 'denied'
  /** Who has approved or denied; `null` before. */
  readonly userId: string | null
  readonly expiresTs: number
}
export const deviceCodeRows = collection<DeviceCodeRow>({
  name: 'oauth-device-codes',
  place: 'home',
  key: 'hash',
  indexes: ['userCode', 'expiresTs', 'clientId'],
})

/** Somebody logged in to the server's own pages, in one browser. */
export type BrowserSessionRow = {
  /** Of the cookie. */
  readonly hash: string
  readonly userId: string
  /** The account's credential mark at the login. */
  readonly mark: string
  readonly expiresTs: number
}
export const browserSessionRows = collection<BrowserSessionRow>({
  name: 'oauth-browser-sessions',
  place: 'home',
  key: 'hash',
  indexes: ['expiresTs', 'userId'],
})

/** Users who have just agreed to new cross-signing keys. */
export type ResetApprovalRow = {
  readonly userId: string
  readonly expiresTs: number
}
export const resetApprovalRows = collection<ResetApprovalRow>({
  name: 'oauth-reset-approvals',
  place: 'home',
  key: 'userId',
  indexes: ['expiresTs'],
})

/** All rows whose index holds exactly this text. */
export function exactly(index: string, value: string): { index: string; from: string; to: string } {
  return { index, from: value, to: `${value}\0` }
}
