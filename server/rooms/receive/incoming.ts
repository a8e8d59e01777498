import { isJsonObject } from '../../protocol/json.ts'
import type { Json } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import { receiveForStranger } from '../elsewhere/strangers.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { isServerAllowed } from '../server-acl.ts'
import type { Inbound } from './inbound.ts'
import { parseReceived } from './parse.ts'
import type { Reception } from './receive.ts'

/** By event ID; without an error where the event was taken in, or is on disk until it can be. */
export type PduResults = Readonly<Record<string, { readonly error?: string }>>

/** What other servers send unasked. */
export interface Incoming {
  /**
   * Takes in the PDUs of a transaction: those of one room in their order, the rooms side by side. Those of rooms that this
   * server is not in are passed over. What lacks something is fetched behind the answer.
   * Spec: server-server-api §PUT /send/{txnId}.
   */
  receivePdus(origin: string, pdus: readonly Json[]): Promise<PduResults>
  /** Whether a room that this server is in shuts the other one out; `false` for other rooms. */
  isShutOut(roomId: string, server: string): Promise<boolean>
}

/** So many rooms of one transaction are gone through at once. */
const PARALLEL_ROOMS = 8

export function createIncoming(core: RoomsCore, rooms: OpenRooms, inbound: Inbound): Incoming {
  async function receiveInRoom(
    origin: string,
    roomId: string,
    pdus: readonly Json[],
    results: Map<string, { readonly error?: string }>,
  ): Promise<void> {
    using held = await rooms.hold(roomId)
    if (!held?.room.head.servers.has(core.environment.serverName)) {
      // Of what happens there only the end of an invite or a knock concerns us.
      for (const json of pdus) await receiveForStranger(core, rooms, { roomId, json, from: origin })
      return
    }
    const { room } = held
    for (const json of pdus) {
      // An event of this transaction may have changed it.
      if (isShutOutOf(room, origin)) {
        const parsed = parseReceived(json, roomId, room.rules)
        if (parsed.ok) results.set(parsed.event.eventId, { error: 'Your server is shut out of this room' })
        continue
      }
      const { reception } = await inbound.take({ roomId, json, from: origin })
      if (reception.outcome === 'dropped') {
        core.environment.logger.info({ event: 'pdu.dropped', roomId, from: origin, why: reception.why })
      }
      if (reception.eventId !== undefined) results.set(reception.eventId, resultOf(reception))
    }
  }

  return {
    async receivePdus(origin, pdus) {
      const byRoom = Map.groupBy(pdus, roomIdIn)
      byRoom.delete(undefined)
      const results = new Map<string, { readonly error?: string }>()
      const left = byRoom.entries()
      const takeTurns = async (): Promise<void> => {
        for (const [roomId, ofRoom] of left) await receiveInRoom(origin, roomId ?? '', ofRoom, results)
      }
      const workers = Array.from({ length: Math.min(PARALLEL_ROOMS, byRoom.size) }, takeTurns)
      // All have come to their end before anything is answered, also where one has failed.
      for (const worker of await Promise.allSettled(workers)) if (worker.status === 'rejected') throw worker.reason
      return Object.fromEntries(results)
    },
    async isShutOut(roomId, server) {
      using held = await rooms.hold(roomId)
      return held !== undefined && isShutOutOf(held.room, server)
    },
  }
}

function isShutOutOf({ head }: OpenRoom, server: string): boolean {
  const acl = head.state.get('m.room.server_acl')
  return acl !== undefined && !isServerAllowed(server, acl.pdu.content)
}

function roomIdIn(pdu: Json): string | undefined {
  const roomId = isJsonObject(pdu) ? pdu.room_id : undefined
  return typeof roomId === 'string' ? roomId : undefined
}

/** A rejected event is kept, but its server should hear that it is of no use; of a soft-failed one it need not know. */
function resultOf(reception: Reception): { readonly error?: string } {
  return reception.outcome === 'dropped' || reception.outcome === 'rejected'
    ? { error: reception.why ?? 'The event was rejected' }
    : {}
}
