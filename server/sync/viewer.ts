import type { SyncFilter } from './filter.ts'

/** For whom an answer is made, and how they want it. */
export interface Viewer {
  readonly userId: string
  /** `null` for application services that act without a device. */
  readonly deviceId: string | null
  readonly filter: SyncFilter
  /** Users whose messages and invites are not shown to them. */
  readonly ignored: ReadonlySet<string>
  /** State as it is at the end of the timeline, in `state_after`, rather than at its start, in `state`. */
  readonly useStateAfter: boolean
  /** All state of all rooms, even where nothing changed. */
  readonly fullState: boolean
}

/** The stretch of the stream that an answer tells of: after `since` and up to `upTo`. */
export interface Span {
  /** `null`: from the beginning, the client knows nothing yet. */
  readonly since: number | null
  readonly upTo: number
  /** The same of typing and presence. After a restart the client's serial means nothing, and 0 stands here. */
  readonly sinceSerial: number
  /** The client may believe that somebody types who stopped with the restart. */
  readonly mustClearTyping: boolean
}
