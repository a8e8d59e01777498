import { MatrixError } from '../../shared/matrix/errors.ts'
import type { LimitClass } from './rate-limit.ts'

/** What guests may call. Spec: client-server-api §Guest Access, §Client behaviour. */
const OPEN_TO_GUESTS: ReadonlySet<string> = new Set([
  // events and media
  'getRoomState',
  'getRoomStateWithKey',
  'getEventContext',
  'getOneRoomEvent',
  'getRoomEvents',
  'getMembersByRoom',
  'roomInitialSync',
  'sync',
  'getContentAuthed',
  'getContentOverrideNameAuthed',
  'getContentThumbnailAuthed',
  // sending; the second join is the first by another URL, and the only one that some clients know
  'joinRoomById',
  'joinRoom',
  'leaveRoom',
  'sendMessage',
  'setRoomStateWithKey',
  'sendToDevice',
  // the account; logging out harms nobody
  'setProfileField',
  'deleteProfileField',
  'getDevices',
  'getDevice',
  'updateDevice',
  'getTokenOwner',
  'logout',
  // encryption
  'uploadKeys',
  'queryKeys',
  'claimKeys',
])
const OF_PROFILES: ReadonlySet<string> = new Set(['setProfileField', 'deleteProfileField'])

/**
 * @param path the request's path parameters
 * @throws MatrixError 403 M_GUEST_ACCESS_FORBIDDEN
 */
export function requireOpenToGuests(operationId: string, path: Readonly<Record<string, string>>): void {
  if (!OPEN_TO_GUESTS.has(operationId)) throw guestAccessForbidden('Guests may not do this')
  if (OF_PROFILES.has(operationId) && path.keyName !== 'displayname') {
    throw guestAccessForbidden('Guests may only change their display name')
  }
}

/** Which class a guest's request draws from besides the one that everybody's does. Spec: §Guest Access, Security considerations. */
export const guestLimitClassOf = (operationId: string): LimitClass =>
  operationId === 'setRoomStateWithKey' ? 'guestState' : 'guest'

const guestAccessForbidden = (why: string): MatrixError => new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 403, why)
