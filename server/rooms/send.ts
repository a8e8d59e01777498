import { badJson, forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import { isEventId, serverNameOf } from '../../shared/matrix/identifiers.ts'
import { type Requester, requireNotSuspended } from '../accounts/index.ts'
import { roomStateOf } from '../protocol/auth-rules/index.ts'
import { canonicalJson } from '../protocol/canonical-json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { EventWish } from './build.ts'
import { checkRelation } from './check-relation.ts'
import { checkMessageContent, checkStateContent } from './content-checks.ts'
import type { RoomsCore } from './core.ts'
import { aliasesLeadingHere } from './elsewhere/aliases.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { propose } from './propose.ts'
import type { Accompanying } from './receive/commit.ts'
import { findTransaction, transactionKey, transactionOps } from './transactions.ts'

/** Who sends, and the request as its repetition would name it. */
interface Sending {
  readonly roomId: string
  readonly requester: Requester
  readonly txnId: string
  /** `origin_server_ts` where an application service chose it. */
  readonly createdTs?: number | undefined
  /** What else its commit writes, and how it is kept, where no request stands behind it. */
  readonly accompanying?: Accompanying
}

/**
 * Sends a message event; the same transaction ID again gives the same event.
 * Spec: client-server-api §PUT /rooms/{roomId}/send/{eventType}/{txnId}.
 *
 * @throws MatrixError 403 M_USER_SUSPENDED, M_FORBIDDEN, for an unknown room, too; 404 M_NOT_FOUND for an unknown event to redact;
 *   413 M_TOO_LARGE; 400 M_BAD_JSON, also for an `m.room.message` that no client can show; and what `checkRelation` has against it
 */
export async function sendMessage(
  core: RoomsCore,
  rooms: OpenRooms,
  message: Sending & { readonly type: string; readonly content: JsonObject },
): Promise<string> {
  const { type, content, requester, createdTs } = message
  if (type !== 'm.room.redaction') {
    requireNotSuspended(requester)
    checkMessageContent(message)
    return sendOnce(core, rooms, message, `send/${type}`, () => ({
      type,
      sender: requester.userId,
      content,
      createdTs,
    }))
  }
  const { redacts, ...rest } = content
  if (typeof redacts !== 'string' || !isEventId(redacts)) throw badJson('A redaction names an event in `redacts`')
  return sendOnce(core, rooms, message, `send/${type}`, async (room) => {
    return { ...(await redactionWish(room, { requester, redacts, content: rest })), createdTs }
  })
}

/** Redacts an event. Spec: client-server-api §PUT /rooms/{roomId}/redact/{eventId}/{txnId}. */
export async function redactEvent(
  core: RoomsCore,
  rooms: OpenRooms,
  redaction: Sending & { readonly eventId: string; readonly reason: string | undefined },
): Promise<string> {
  const { eventId, reason, requester } = redaction
  return sendOnce(core, rooms, redaction, `redact/${eventId}`, (room) =>
    redactionWish(room, {
      requester,
      redacts: eventId,
      content: reason === undefined ? {} : { reason },
    }),
  )
}

async function sendOnce(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, requester, txnId, accompanying }: Sending,
  endpoint: string,
  wishOf: (room: OpenRoom) => EventWish | Promise<EventWish>,
): Promise<string> {
  const { userId, deviceId } = requester
  return rooms.useAsMember(roomId, async (room) => {
    const key = transactionKey({ userId, deviceId, endpoint, txnId })
    const sent = await room.enter(async (): Promise<string | { durable: Promise<KeptEvent> }> => {
      const underWay = room.transactionsUnderWay.get(key)
      if (underWay) return { durable: underWay }
      const known = await findTransaction(room, key)
      if (known !== undefined) return known
      const wish = await wishOf(room)
      await checkRelation(room, wish)
      const opsFor = await transactionOps(core, room, key)
      const { durable } = await propose(core, room, wish, {
        local: accompanying?.local ?? { deviceId, txnId },
        ops: (event, position) => [...opsFor(event.eventId), ...(accompanying?.ops?.(event, position) ?? [])],
      })
      room.transactionsUnderWay.set(key, durable)
      const forget = () => room.transactionsUnderWay.delete(key)
      durable.then(forget, forget)
      return { durable }
    })
    return typeof sent === 'string' ? sent : (await sent.durable).eventId
  })
}

/**
 * What a redaction asks for, if it would be applied: one that other servers ignore is no use to anybody.
 * Spec: client-server-api §Redactions; rooms/v3 §Handling redactions.
 */
async function redactionWish(
  room: OpenRoom,
  { requester, redacts, content }: { requester: Requester; redacts: string; content: JsonObject },
): Promise<EventWish> {
  const { userId: sender, isAdmin } = requester
  const target = await room.find(redacts)
  const { state } = room.head
  // Whoever is suspended may still take back what they said themselves.
  if (target?.pdu.sender !== sender) requireNotSuspended(requester)
  // Those who may not look into the room are not told which events it has.
  const isMember = state.get('m.room.member', sender)?.pdu.content.membership === 'join'
  if (isMember && !target) throw notFound('The event to redact is not in this room')
  if (isMember && target && target.pdu.sender !== sender) {
    const powers = roomStateOf((type, stateKey) => state.get(type, stateKey), room.rules)
    const isOfOurs = isAdmin && serverNameOf(target.pdu.sender) === serverNameOf(sender)
    if (!isOfOurs && powers.power(sender) < powers.powerNeeded('redact')) {
      throw forbidden('You have too little power to redact events of others')
    }
  }
  if (target?.pdu.type === 'm.room.create') throw forbidden('The event that made the room cannot be redacted')
  return { type: 'm.room.redaction', sender, content, redacts }
}

/**
 * Sets a piece of the room's state, but not a membership. Setting what the same user set last gives the event that there is.
 * Spec: client-server-api §PUT /rooms/{roomId}/state/{eventType}/{stateKey}.
 *
 * @throws MatrixError as `sendMessage`; 400 M_INVALID_PARAM, M_BAD_ALIAS, 502 for canonical aliases
 */
export async function setState(
  core: RoomsCore,
  rooms: OpenRooms,
  setting: {
    readonly roomId: string
    readonly sender: string
    readonly type: string
    readonly stateKey: string
    readonly content: JsonObject
    readonly createdTs?: number | undefined
    readonly accompanying?: Accompanying
  },
): Promise<string> {
  const { roomId, sender, type, stateKey, content, createdTs, accompanying } = setting
  if (type === 'm.room.member') throw invalidParam('A membership is not set this way')
  return rooms.useAsMember(roomId, async (room) => {
    const isAliases = type === 'm.room.canonical_alias' && stateKey === ''
    const leadingHere = isAliases ? await aliasesLeadingHere(core, room, sender, content) : undefined
    const { durable } = await room.enter(async (): Promise<{ durable: KeptEvent | Promise<KeptEvent> }> => {
      const current = room.head.state.get(type, stateKey)
      if (current && isRepeated(room, current, sender, content)) return { durable: room.durable(current) }
      await checkStateContent(core, room, { type, stateKey, content }, leadingHere)
      return propose(core, room, { type, sender, stateKey, content, createdTs }, accompanying)
    })
    return (await durable).eventId
  })
}

function isRepeated(room: OpenRoom, current: KeptEvent, sender: string, content: JsonObject): boolean {
  if (current.pdu.sender !== sender || current.redactedBecause || !room.head.joined.has(sender)) return false
  return canonicalJson(current.pdu.content, false) === canonicalJson(content, false)
}
