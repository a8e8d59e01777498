/**
 * The door of `accounts/`: users, passwords, devices, tokens, profiles, account data.
 * Spec: client-server-api §Client Authentication, §User Data, modules account_data, tags, device_management.
 */
export type {
  AccountDataEntry,
  AccountsForReaders,
  Deactivation,
  Device,
  Profile,
  Requester,
  Session,
  SessionRequest,
} from './contract.ts'
export { type Accounts, createAccounts } from './create-accounts.ts'
export { requireLegacySession, requireNotSuspended, userLocked } from './errors.ts'
export { requireGoodPassword } from './passwords.ts'
export { requireProfileKey } from './profiles.ts'
export { createRemoteProfiles, type RemoteProfiles } from './remote-profiles.ts'
export type { SharedSecret } from './shared-secret.ts'
export { canonicalEmail } from './third-party-ids.ts'
export { parseUserIdentifier, typedIdentifier } from './user-identifier.ts'
export { candidateUserIds, userIdForUsername } from './usernames.ts'
