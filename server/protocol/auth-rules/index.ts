/**
 * The authorization rules of every room version. Spec: rooms/v1 to v12 §Authorization rules; server-server-api §PDUs.
 *
 * An event is judged three times on receipt: `checkAuthEvents`, then `checkAuth` with `stateOfAuthEvents` (both: step 4),
 * then `checkAuth` with the state before it (step 5) and with the room's current state (step 6).
 */
export {
  type AuthSubject,
  authEventKeys,
  checkAuthEvents,
  type EventLookup,
  type KnownEvent,
  type Rejection,
  selectAuthEvents,
  stateOfAuthEvents,
} from './auth-events.ts'
export { checkAuth } from './check.ts'
export { creatorOf, creatorsOf } from './creators.ts'
export { type AuthEnvironment, verifiedOnReceipt } from './environment.ts'
export { parseLevel, readPowerLevels } from './power-levels.ts'
export { type RoomState, roomStateOf, type StateLookup } from './room-state.ts'
