import type { Json, JsonObject } from '../../shared/matrix/json.ts'

export type { Json, JsonObject }

/** How events refer to each other: by ID from room version 3 on, by `[id, hashes]` before. */
export type EventReference = string | readonly [eventId: string, hashes: JsonObject]

/**
 * A persistent data unit as it goes over the wire, in the format of its room version.
 * Spec: server-server-api §PDUs; rooms/v1, v3, v4, v6, v11, v12 §Event format.
 */
export interface Pdu {
  /** Only in room versions 1 and 2. */
  readonly event_id?: string
  /** Absent only in the create event of room version 12 and later. */
  readonly room_id?: string
  readonly type: string
  readonly sender: string
  readonly state_key?: string
  readonly content: JsonObject
  readonly prev_events: readonly EventReference[]
  readonly auth_events: readonly EventReference[]
  readonly depth: number
  readonly origin_server_ts: number
  readonly hashes: { readonly sha256: string }
  readonly signatures: { readonly [serverName: string]: { readonly [keyId: string]: string } }
  /** Redaction events of room versions before 11; from 11 on it is in `content`. */
  readonly redacts?: string
  readonly unsigned?: JsonObject
}

/** A PDU with the ID that was computed for it (or read from it, in versions 1 and 2). */
export interface IdentifiedPdu {
  readonly eventId: string
  readonly pdu: Pdu
}

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly why: string }
export const allow: Verdict = { ok: true }
export const reject = (why: string): Verdict => ({ ok: false, why })

/** The IDs that references point at, in their order, whatever the room version. */
export function referencedIds(references: readonly EventReference[]): readonly string[] {
  return references.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
}
