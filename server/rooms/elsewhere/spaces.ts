/**
 * Rooms that this server is not in, as other servers describe them with the rooms right below. An answer holds what somebody
 * of this server may know; what the user at hand may know of it is for us to tell.
 * Spec: server-server-api §Discovering rooms within spaces.
 */
import { isOpaqueId, isServerName, isUserId } from '../../../shared/matrix/identifiers.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { Json, JsonObject } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import { meetsCondition } from '../set-membership.ts'
import type { StrippedChild } from '../shown-outside.ts'
import { candidatesFor, isRemoteFailure } from './servers.ts'
import { type RemoteSummary, summaryIn } from './summaries.ts'

/** A room with its children in their order; of what is no space there are none. */
export interface RoomElsewhere {
  readonly summary: RemoteSummary
  readonly children: readonly StrippedChild[]
  /** Who said so. */
  readonly server: string
}

/** So many servers are asked about one room. */
const MAX_ASKED = 3
const MAX_CHILDREN = 500
const KEPT_MS = 5 * 60_000
const REFUSAL_KEPT_MS = 60_000
/** Of all answers that are kept, as JSON. */
const MAX_KEPT_LENGTH = 8 * 1024 * 1024
const MAX_KEPT = 5_000

interface Kept {
  readonly room: RoomElsewhere | undefined
  readonly length: number
  readonly untilTs: number
}

/** Asks, and remembers for a while what each server said; nobody else's question is answered by what another server made up. */
export class SpacesElsewhere {
  readonly #core: RoomsCore
  readonly #kept = new Map<string, Kept>()
  #keptLength = 0
  readonly #running = new Map<string, Promise<RoomElsewhere | undefined>>()
  /** By room: who described it last. IDs of rooms do not say whom to ask about a space that somebody looks into by itself. */
  readonly #toldBy = new Map<string, string>()

  constructor(core: RoomsCore) {
    this.#core = core
  }

  /**
   * @param wish.via servers that may know of the room, the likeliest first
   * @returns `undefined` where nobody that could be reached knows of it, or nobody of this server may
   */
  async find(wish: {
    readonly roomId: string
    readonly userId: string
    readonly via: readonly string[]
    readonly suggestedOnly: boolean
  }): Promise<RoomElsewhere | undefined> {
    const named = (await candidatesFor(this.#core, wish)).slice(0, MAX_ASKED)
    for (const server of new Set([...named, this.#toldBy.get(wish.roomId) ?? []].flat())) {
      const found = await this.#ask(server, wish.roomId, wish.suggestedOnly)
      if (found) return found
    }
    return undefined
  }

  /** Whether a user may know of a room: they are invited, could join or ask to, or everybody may read it. */
  async mayKnow({ summary }: RoomElsewhere, userId: string): Promise<boolean> {
    if (summary.world_readable) return true
    const membership = (await this.#core.memberships.find(userId, summary.room_id))?.membership
    if (membership === 'ban') return false
    if (membership === 'invite' || membership === 'knock' || membership === 'join') return true
    const { join_rule: rule = 'public', allowed_room_ids: allowed = [] } = summary
    if (rule === 'public' || rule === 'knock' || rule === 'knock_restricted') return true
    const conditions = allowed.map((roomId) => ({ type: 'm.room_membership', room_id: roomId }))
    return rule === 'restricted' && (await meetsCondition(this.#core, userId, conditions))
  }

  async #ask(server: string, roomId: string, suggestedOnly: boolean): Promise<RoomElsewhere | undefined> {
    const key = keyOf(server, roomId, suggestedOnly)
    const known = this.#kept.get(key)
    if (known && this.#core.environment.clock.now() < known.untilTs) return known.room
    const underWay = this.#running.get(key)
    if (underWay) return underWay
    const asked = this.#request(server, roomId, suggestedOnly).finally(() => this.#running.delete(key))
    this.#running.set(key, asked)
    return asked
  }

  async #request(server: string, roomId: string, suggestedOnly: boolean): Promise<RoomElsewhere | undefined> {
    const key = keyOf(server, roomId, suggestedOnly)
    const { environment, peers } = this.#core
    try {
      const answer = await peers?.hierarchy(server, roomId, suggestedOnly)
      const room = answer && roomIn(answer.room, { server, roomId, suggestedOnly })
      this.#keep(key, room)
      if (answer && room) this.#keepChildren(answer, room, suggestedOnly)
      return room
    } catch (error) {
      if (!isRemoteFailure(error)) throw error
      environment.logger.debug({ event: 'rooms.space-elsewhere.failed', server, roomId, why: error.message })
      this.#keep(key, undefined)
      return undefined
    }
  }

  /** What the same answer says of the rooms right below spares a request for each: of all but spaces it is everything. */
  #keepChildren(answer: JsonObject, { server, children }: RoomElsewhere, suggestedOnly: boolean): void {
    const ids = new Set(children.map(({ state_key }) => state_key))
    const told = Array.isArray(answer.children) ? (answer.children as readonly Json[]) : []
    for (const json of told.slice(0, MAX_CHILDREN)) {
      const summary = summaryIn(json)
      if (!summary || !ids.has(summary.room_id) || summary.room_type === 'm.space') continue
      this.#keep(keyOf(server, summary.room_id, suggestedOnly), { summary, children: [], server })
    }
    const closed = Array.isArray(answer.inaccessible_children) ? (answer.inaccessible_children as readonly Json[]) : []
    for (const roomId of closed.slice(0, MAX_CHILDREN)) {
      if (typeof roomId === 'string' && ids.has(roomId)) this.#keep(keyOf(server, roomId, suggestedOnly), undefined)
    }
  }

  #keep(key: string, room: RoomElsewhere | undefined): void {
    this.#forget(key)
    const length = key.length + (room ? JSON.stringify(room).length : 0)
    const untilTs = this.#core.environment.clock.now() + (room ? KEPT_MS : REFUSAL_KEPT_MS)
    this.#kept.set(key, { room, length, untilTs })
    this.#keptLength += length
    if (room) this.#remember(room)
    for (const oldest of this.#kept.keys()) {
      if (this.#keptLength <= MAX_KEPT_LENGTH && this.#kept.size <= MAX_KEPT) break
      this.#forget(oldest)
    }
  }

  #remember({ summary, server }: RoomElsewhere): void {
    this.#toldBy.delete(summary.room_id)
    this.#toldBy.set(summary.room_id, server)
    for (const oldest of this.#toldBy.keys()) {
      if (this.#toldBy.size <= MAX_KEPT) break
      this.#toldBy.delete(oldest)
    }
  }

  #forget(key: string): void {
    this.#keptLength -= this.#kept.get(key)?.length ?? 0
    this.#kept.delete(key)
  }
}

const keyOf = (server: string, roomId: string, suggestedOnly: boolean): string =>
  JSON.stringify([server, roomId, suggestedOnly])

function roomIn(
  json: Json | undefined,
  {
    server,
    roomId,
    suggestedOnly,
  }: { readonly server: string; readonly roomId: string; readonly suggestedOnly: boolean },
): RoomElsewhere | undefined {
  const summary = summaryIn(json)
  if (summary?.room_id !== roomId || !isJsonObject(json)) return undefined
  const states = Array.isArray(json.children_state) ? (json.children_state as readonly Json[]) : []
  const children: StrippedChild[] = []
  for (const state of summary.room_type === 'm.space' ? states.slice(0, MAX_CHILDREN) : []) {
    const child = childIn(state)
    if (child && (!suggestedOnly || child.content.suggested === true)) children.push(child)
  }
  return { summary, children, server }
}

function childIn(json: Json): StrippedChild | undefined {
  if (!isJsonObject(json)) return undefined
  const { type, state_key: roomId, sender, content, origin_server_ts: ts } = json
  if (type !== 'm.space.child' || typeof roomId !== 'string' || !isOpaqueId('!', roomId)) return undefined
  if (typeof sender !== 'string' || !isUserId(sender) || !isJsonObject(content)) return undefined
  if (!Array.isArray(content.via) || !content.via.every((name) => typeof name === 'string')) return undefined
  return { type, state_key: roomId, sender, content, origin_server_ts: Number.isSafeInteger(ts) ? Number(ts) : 0 }
}

/** Servers that a child's event names. */
export const viaOf = ({ content }: StrippedChild): readonly string[] =>
  (Array.isArray(content.via) ? (content.via as readonly Json[]) : [])
    .filter((name): name is string => typeof name === 'string' && isServerName(name))
    .slice(0, MAX_ASKED)
