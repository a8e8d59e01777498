/** What the account page can be opened for. Spec: client-server-api §Account management URL actions; MSC4191 for the older names. */
export const ACCOUNT_ACTIONS = [
  'org.matrix.profile',
  'org.matrix.devices_list',
  'org.matrix.device_view',
  'org.matrix.device_delete',
  'org.matrix.account_deactivate',
  'org.matrix.cross_signing_reset',
] as const
export type AccountAction = (typeof ACCOUNT_ACTIONS)[number]

const olderNames: Readonly<Record<string, AccountAction>> = {
  profile: 'org.matrix.profile',
  sessions_list: 'org.matrix.devices_list',
  session_view: 'org.matrix.device_view',
  session_end: 'org.matrix.device_delete',
}

/** MSC4191's names of before v1.18, for clients that look for them. */
export const OLDER_ACCOUNT_ACTIONS: readonly string[] = Object.keys(olderNames)
  .filter((name) => name !== 'profile')
  .map((name) => `org.matrix.${name}`)

/** An action that we do not know opens the page at its beginning. */
export function accountActionOf(name: string | undefined): AccountAction {
  const known = ACCOUNT_ACTIONS.find((action) => action === name)
  return known ?? olderNames[(name ?? '').replace(/^org\.matrix\./, '')] ?? 'org.matrix.profile'
}
