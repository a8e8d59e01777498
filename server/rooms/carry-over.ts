/** What users keep when a room is replaced by another. Spec: client-server-api §Room Upgrades, Server behaviour. */
import { isJsonObject } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import type { Move } from './contract.ts'
import type { RoomsCore } from './core.ts'
import type { OpenRooms } from './open-rooms.ts'

/**
 * Gives a user who joined a room what they had set for the one that it replaces: tags, that it is a direct chat, and by those
 * who listen, push rules. Does nothing elsewhere, and repeating it changes nothing. That something of it fails does not
 * undo the join, so it is only logged.
 */
export async function carryOver(
  core: RoomsCore,
  rooms: OpenRooms,
  { userId, roomId }: { readonly userId: string; readonly roomId: string },
): Promise<void> {
  try {
    const from = await replacedRoom(core, rooms, userId, roomId)
    if (from === undefined) return
    const move = { userId, from, to: roomId }
    await core.store.exclusive(`rooms carry-over ${userId}`, async () => {
      await carryTags(core, move)
      await carryDirect(core, move)
      for (const listener of core.moveListeners) await listener(move)
    })
  } catch (error) {
    core.environment.logger.warn({ event: 'rooms.carry-over.failed', userId, roomId, error: String(error) })
  }
}

/** The room that this one replaces, if it says so itself and the user was in it: anybody may claim a predecessor. */
async function replacedRoom(
  core: RoomsCore,
  rooms: OpenRooms,
  userId: string,
  roomId: string,
): Promise<string | undefined> {
  using held = await rooms.hold(roomId)
  const predecessor = held?.room.visible.state.get('m.room.create')?.pdu.content.predecessor
  if (!isJsonObject(predecessor) || typeof predecessor.room_id !== 'string') return undefined
  const from = predecessor.room_id
  const entry = await core.memberships.find(userId, from)
  if (!entry || entry.isForgotten || (entry.membership !== 'join' && entry.leftOrder === null)) return undefined
  using old = await rooms.hold(from)
  const tombstone = old?.room.visible.state.get('m.room.tombstone')
  return tombstone?.pdu.content.replacement_room === roomId ? from : undefined
}

async function carryTags({ accounts }: RoomsCore, { userId, from, to }: Move): Promise<void> {
  const type = 'm.tag'
  const tags = await accounts.findAccountData(userId, from, type)
  if (!tags || (await accounts.findAccountData(userId, to, type))) return
  await accounts.setAccountData({ userId, roomId: to, type, content: tags.content })
}

async function carryDirect({ accounts }: RoomsCore, { userId, from, to }: Move): Promise<void> {
  const type = 'm.direct'
  const entry = await accounts.findAccountData(userId, null, type)
  if (!entry) return
  let isChanged = false
  const direct = Object.entries(entry.content).map(([other, list]): [string, Json] => {
    if (!Array.isArray(list) || !list.includes(from) || list.includes(to)) return [other, list]
    isChanged = true
    return [other, [...list, to]]
  })
  if (isChanged)
    await accounts.setAccountData({ userId, roomId: null, type, content: Object.fromEntries(direct) as JsonObject })
}
