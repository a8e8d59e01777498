/**
 * Presence: who is connected and active. In memory, except for the status message and when somebody was last active.
 * Spec: client-server-api §Presence.
 */
import { forbidden } from '../../shared/matrix/errors.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import { collection, put, type Row, type Store } from '../store/index.ts'
import { Listeners } from './listeners.ts'
import { derivePresence, GRACE_MS, type LocalFacts, type PresenceState } from './presence-state.ts'
import type { Serial } from './serial.ts'

/** How often it is looked at who has become idle or gone. Milliseconds. */
const SWEEP_MS = 5_000
/** Another server's user goes offline when nothing is heard of them for so long. */
const REMOTE_LASTS_MS = 1_800_000
/** The most users of other servers whose presence is kept. */
const MAX_REMOTE_USERS = 10_000
const MAX_STATUS_LENGTH = 1_024

type PresenceRow = Row & { userId: string; statusMsg: string | null; lastActiveTs: number | null }
const presenceRows = collection<PresenceRow>({ name: 'presence', place: 'home', key: 'userId', indexes: [] })

/** As clients and other servers get it; the content of `m.presence`. */
export interface PresenceContent {
  readonly presence: PresenceState
  readonly last_active_ago?: number
  readonly status_msg?: string
  readonly currently_active?: boolean
}

/** As clients get it in their syncs. */
export interface PresenceEventContent extends PresenceContent {
  readonly displayname?: string
  readonly avatar_url?: string
}

export interface PresenceChange {
  readonly userId: string
  readonly serial: number
  readonly isLocal: boolean
}

export interface Presence {
  /**
   * A device syncs, and so is connected until its poll is over, and a little longer.
   * @param sync.timeoutMs how long it may wait at most
   */
  syncing(sync: {
    readonly userId: string
    readonly deviceId: string
    readonly state: PresenceState
    readonly timeoutMs: number
  }): void
  /** Sets it by hand; counts as an activity unless it says offline. `statusMsg` undefined or `null` takes the message away. */
  set(userId: string, presence: PresenceState, statusMsg: string | null): Promise<void>
  /** What another server says of its user. */
  receive(userId: string, content: PresenceContent): void
  /** @throws MatrixError 403 M_FORBIDDEN where they share no room */
  get(viewer: string, userId: string): Promise<PresenceContent>
  /** For those of whom something is known. No check of who may see it. */
  contentOf(userId: string): PresenceEventContent | undefined
  /** Users whose presence changed after this serial, newest first. */
  changedSince(serial: number): readonly string[]
  onChange(listener: (change: PresenceChange) => void): () => void
}

interface Entry {
  readonly userId: string
  presence: PresenceState
  currentlyActive: boolean
  lastActiveTs: number | null
  statusMsg: string | null
  serial: number
  /** Of local users. */
  facts?: LocalFacts
  /** Of local users whose display name or avatar has changed since the start. */
  shown?: Pick<PresenceEventContent, 'displayname' | 'avatar_url'>
  /** Of other servers' users: when we take them for offline. */
  untilTs?: number
}

export async function openPresence(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly rooms: RoomsForReaders
  readonly accounts: Pick<AccountsForReaders, 'onProfileChanged'>
  readonly serial: Serial
}): Promise<Presence & Disposable> {
  const { environment, store, rooms, accounts, serial } = deps
  const { clock, logger } = environment
  const listeners = new Listeners<PresenceChange>()
  const entries = new Map<string, Entry>()
  /** The same by serial, oldest first. */
  const bySerial: Entry[] = []
  const connected = new Set<Entry>()
  let remoteCount = 0
  let cancelSweep: (() => void) | undefined

  const isLocal = (userId: string): boolean => serverNameOf(userId) === environment.serverName

  // After a restart everybody is offline at first, and that is news to clients that saw them online.
  for (const { userId, statusMsg, lastActiveTs } of await store.home.range(presenceRows, { index: 'userId' })) {
    const facts: LocalFacts = { devices: new Map(), byHand: null, lastActiveTs }
    add({ userId, presence: 'offline', currentlyActive: false, lastActiveTs, statusMsg, serial: serial.next(), facts })
  }

  function add(entry: Entry): void {
    entries.set(entry.userId, entry)
    bySerial.push(entry)
  }

  function localEntry(userId: string): Entry & { facts: LocalFacts } {
    const found = entries.get(userId)
    if (found?.facts) return found as Entry & { facts: LocalFacts }
    const facts: LocalFacts = { devices: new Map(), byHand: null, lastActiveTs: null }
    const made = {
      userId,
      presence: 'offline' as const,
      currentlyActive: false,
      lastActiveTs: null,
      statusMsg: null,
      serial: 0,
      facts,
    }
    add(made)
    return made
  }

  function announce(entry: Entry): void {
    bySerial.splice(bySerial.indexOf(entry), 1)
    entry.serial = serial.next()
    bySerial.push(entry)
    listeners.tell({ userId: entry.userId, serial: entry.serial, isLocal: isLocal(entry.userId) })
  }

  function save(entry: Entry): Promise<number> {
    const { userId, statusMsg, lastActiveTs } = entry
    return store.commit(() => [put(presenceRows, { userId, statusMsg, lastActiveTs })])
  }

  /** Works out a local user's presence anew, and tells where it is another. */
  function update(entry: Entry & { facts: LocalFacts }, force = false): void {
    const { presence, currentlyActive } = derivePresence(entry.facts, clock.now())
    const changed = presence !== entry.presence || currentlyActive !== entry.currentlyActive
    const wasOffline = entry.presence === 'offline'
    entry.presence = presence
    entry.currentlyActive = currentlyActive
    entry.lastActiveTs = entry.facts.lastActiveTs
    if (presence === 'offline' && entry.facts.devices.size === 0) connected.delete(entry)
    else connected.add(entry)
    if (connected.size > 0) cancelSweep ??= clock.after(SWEEP_MS, sweep)
    if (changed || force) announce(entry)
    if (changed && wasOffline !== (presence === 'offline')) {
      // Only a convenience for after a restart, so nobody waits for it.
      save(entry).catch((error: unknown) => logger.warn({ event: 'presence.not-saved', why: String(error) }))
    }
  }

  function sweep(): void {
    cancelSweep = undefined
    for (const entry of connected) {
      if (entry.facts) update(entry as Entry & { facts: LocalFacts })
      else if ((entry.untilTs ?? 0) <= clock.now()) {
        connected.delete(entry)
        entry.presence = 'offline'
        entry.currentlyActive = false
        announce(entry)
      }
    }
    if (connected.size > 0) cancelSweep ??= clock.after(SWEEP_MS, sweep)
  }

  function active(entry: Entry & { facts: LocalFacts }): void {
    entry.facts.lastActiveTs = clock.now()
    if (entry.facts.byHand === 'unavailable') entry.facts.byHand = null
    update(entry)
  }

  const endSubscription = rooms.onEvent(({ event }) => {
    const entry = entries.get(event.pdu.sender)
    // Whoever is not connected sends through a script; that does not make them present.
    if (entry?.facts && entry.presence !== 'offline') active(entry as Entry & { facts: LocalFacts })
  })

  // Spec: client-server-api §Events on Change of Profile Information.
  const endProfileSubscription = accounts.onProfileChanged(({ userId, profile: { displayname, avatar_url } }) => {
    const entry = entries.get(userId)
    if (!entry) return
    entry.shown = {
      ...(typeof displayname === 'string' && { displayname }),
      ...(typeof avatar_url === 'string' && { avatar_url }),
    }
    announce(entry)
  })

  function contentOf(entry: Entry): PresenceContent {
    const { presence, currentlyActive, lastActiveTs, statusMsg } = entry
    return {
      presence,
      ...(lastActiveTs !== null && { last_active_ago: Math.max(0, clock.now() - lastActiveTs) }),
      ...(statusMsg !== null && { status_msg: statusMsg }),
      ...(presence === 'online' && { currently_active: currentlyActive }),
    }
  }

  return {
    syncing({ userId, deviceId, state, timeoutMs }) {
      if (state === 'offline') return
      const entry = localEntry(userId)
      entry.facts.devices.set(deviceId, { state, untilTs: clock.now() + timeoutMs + GRACE_MS })
      if (state === 'online' && entry.facts.byHand === 'offline') entry.facts.byHand = null
      if (state === 'online' && entry.presence === 'offline') entry.facts.lastActiveTs = clock.now()
      update(entry)
    },

    async set(userId, presence, statusMsg) {
      const entry = localEntry(userId)
      const { facts } = entry
      entry.statusMsg = statusMsg === null || statusMsg === '' ? null : statusMsg.slice(0, MAX_STATUS_LENGTH)
      facts.byHand = presence === 'online' ? null : presence
      if (presence !== 'offline') {
        facts.lastActiveTs = clock.now()
        // Not every client that says so syncs; it is present as long as a poll would have lasted.
        facts.devices.set('', { state: presence, untilTs: clock.now() + GRACE_MS })
      }
      update(entry, true)
      await save(entry)
    },

    receive(userId, content) {
      let entry = entries.get(userId)
      if (!entry) {
        if (remoteCount >= MAX_REMOTE_USERS) return
        remoteCount += 1
        entry = { userId, presence: 'offline', currentlyActive: false, lastActiveTs: null, statusMsg: null, serial: 0 }
        add(entry)
      }
      entry.presence = content.presence
      entry.currentlyActive = content.presence === 'online' && content.currently_active === true
      entry.lastActiveTs = content.last_active_ago === undefined ? null : clock.now() - content.last_active_ago
      entry.statusMsg = content.status_msg?.slice(0, MAX_STATUS_LENGTH) ?? null
      entry.untilTs = clock.now() + REMOTE_LASTS_MS
      if (content.presence === 'offline') connected.delete(entry)
      else connected.add(entry)
      if (connected.size > 0) cancelSweep ??= clock.after(SWEEP_MS, sweep)
      announce(entry)
    },

    async get(viewer, userId) {
      if (viewer !== userId && !(await rooms.shareRoom(viewer, userId))) {
        throw forbidden('You are not allowed to see their presence')
      }
      const entry = entries.get(userId)
      return entry ? contentOf(entry) : { presence: 'offline' }
    },

    contentOf(userId) {
      const entry = entries.get(userId)
      return entry && { ...contentOf(entry), ...entry.shown }
    },

    changedSince(since) {
      const changed: string[] = []
      for (let i = bySerial.length - 1; i >= 0; i -= 1) {
        const entry = bySerial[i] as Entry
        if (entry.serial <= since) break
        changed.push(entry.userId)
      }
      return changed
    },

    onChange: (listener) => listeners.add(listener),

    [Symbol.dispose]() {
      endSubscription()
      endProfileSubscription()
      cancelSweep?.()
    },
  }
}
