/**
 * Which member events a client has got, so that lazy loading does not send them again and again.
 * Spec: client-server-api §Lazy-loading room members.
 */
import type { RoomEvent } from '../rooms/index.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'

/** Clients remembered, each a device with a filter. */
const MAX_CLIENTS = 500
/** Members remembered of one client; the rooms that were used longest ago are forgotten first. */
const MAX_MEMBERS_OF_CLIENT = 10_000

interface Sent {
  readonly eventId: string
  /** Position of the answer that held it: the client has shown that it got it when it asks from there or later. */
  readonly position: number
}

class ClientMemory {
  readonly #rooms = new Map<string, Map<string, Sent>>()
  #size = 0

  find(roomId: string, userId: string): Sent | undefined {
    return this.#rooms.get(roomId)?.get(userId)
  }

  note(roomId: string, userId: string, sent: Sent): void {
    const members = this.#rooms.get(roomId) ?? new Map<string, Sent>()
    const known = members.get(userId)
    if (known?.eventId === sent.eventId) return
    if (!known) this.#size += 1
    members.set(userId, sent)
    this.#rooms.delete(roomId)
    this.#rooms.set(roomId, members)
    for (const [oldest, itsMembers] of this.#rooms) {
      if (this.#size <= MAX_MEMBERS_OF_CLIENT || oldest === roomId) break
      this.#rooms.delete(oldest)
      this.#size -= itsMembers.size
    }
  }

  forgetUnconfirmed(roomId: string, userId: string): void {
    if (this.#rooms.get(roomId)?.delete(userId)) this.#size -= 1
  }
}

export class LazyMembers {
  readonly #clients = new LeastRecentlyUsed<string, ClientMemory>(MAX_CLIENTS)

  /** A client that begins anew knows nothing. */
  reset(client: string): void {
    this.#clients.delete(client)
  }

  /** Whether a client that has got everything up to `since` has this member event. */
  isKnown(client: string, since: number, event: RoomEvent): boolean {
    const memory = this.#clients.get(client)
    const userId = event.pdu.state_key ?? ''
    const sent = memory?.find(event.roomId, userId)
    if (sent === undefined || sent.eventId !== event.eventId) return false
    if (sent.position <= since) return true
    // It was in an answer that the client did not get, or has gone back behind.
    memory?.forgetUnconfirmed(event.roomId, userId)
    return false
  }

  /** @param events those sent in an answer that goes up to `position`; only member events are looked at */
  note(client: string, position: number, events: readonly RoomEvent[]): void {
    let memory = this.#clients.get(client)
    for (const { roomId, eventId, pdu } of events) {
      if (pdu.type !== 'm.room.member' || pdu.state_key === undefined) continue
      if (!memory) {
        memory = new ClientMemory()
        this.#clients.set(client, memory)
      }
      memory.note(roomId, pdu.state_key, { eventId, position })
    }
  }
}
