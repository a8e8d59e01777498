/**
 * What a local user's presence is, from what their devices and they themselves have said: a rule without a clock of its own.
 * Spec: client-server-api §Presence.
 */
export type PresenceState = 'online' | 'unavailable' | 'offline'

/** Without activity for so long an online user is shown as unavailable. Spec: §Idle timeout, "e.g. 5 minutes". */
export const IDLE_AFTER_MS = 300_000
/** For so long after an activity a user counts as active, and no newer times are sent. */
export const ACTIVE_FOR_MS = 60_000
/** A device that has stopped syncing is taken for connected for so long: the time between two polls. */
export const GRACE_MS = 30_000

export interface LocalFacts {
  /** By device: what its last sync asked for, and until when that holds (milliseconds since the epoch). */
  readonly devices: Map<string, { readonly state: 'online' | 'unavailable'; readonly untilTs: number }>
  /** Set by hand, until something says otherwise. */
  byHand: 'unavailable' | 'offline' | null
  lastActiveTs: number | null
}

export interface DerivedPresence {
  readonly presence: PresenceState
  readonly currentlyActive: boolean
}

/** Forgets devices whose time is over. */
export function derivePresence(facts: LocalFacts, nowTs: number): DerivedPresence {
  let connected: PresenceState = 'offline'
  for (const [deviceId, { state, untilTs }] of facts.devices) {
    if (untilTs <= nowTs) facts.devices.delete(deviceId)
    else if (state === 'online') connected = 'online'
    else if (connected === 'offline') connected = 'unavailable'
  }
  if (connected === 'offline' || facts.byHand === 'offline') return { presence: 'offline', currentlyActive: false }
  const idleMs = nowTs - (facts.lastActiveTs ?? 0)
  if (connected === 'unavailable' || facts.byHand === 'unavailable' || idleMs >= IDLE_AFTER_MS) {
    return { presence: 'unavailable', currentlyActive: false }
  }
  return { presence: 'online', currentlyActive: idleMs < ACTIVE_FOR_MS }
}
