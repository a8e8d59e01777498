import type { Session } from 'electron'
import { isOurs } from './navigation.ts'

/** What the page may be granted, by Electron's names; everything else is refused. */
const GRANTED: ReadonlySet<string> = new Set([
  'notifications',
  'media',
  'fullscreen',
  'clipboard-sanitized-write',
  'speaker-selection',
])

/** @param origin the page that asks, as Electron reports it: a URL, or an origin with a slash behind it */
export function mayHave(permission: string, origin: string): boolean {
  return GRANTED.has(permission) && isOurs(origin)
}

/** Electron's list: "Handle session permission requests from remote content". */
export function limitPermissions(
  session: Pick<Session, 'setPermissionRequestHandler' | 'setPermissionCheckHandler' | 'setDevicePermissionHandler'>,
): void {
  session.setPermissionRequestHandler((contents, permission, callback, details) => {
    callback(details.isMainFrame && mayHave(permission, contents.getURL()))
  })
  session.setPermissionCheckHandler((_contents, permission, requestingOrigin) => mayHave(permission, requestingOrigin))
  session.setDevicePermissionHandler(() => false)
}
