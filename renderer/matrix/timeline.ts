import {
  type Direction,
  EventTimeline,
  type MatrixClient,
  MatrixEvent,
  MatrixEventEvent,
  ReceiptType,
  type Room,
  RoomEvent,
  type RoomMember,
  RoomMemberEvent,
  RoomStateEvent,
} from 'matrix-js-sdk'
import { personOf, quoteTextOf, rowOf } from './event-rows.ts'
import { Failure, failureOf } from './failure.ts'
import { bodyOf, replyTargetOf } from './message-body.ts'
import type { MessageRow, Person, Quote, TimelineRow, TimelineSnapshot } from './rows.ts'
import type { OutgoingItem, SendQueue } from './send-queue.ts'
import { coalesce, createSignal, type Unsubscribe } from './signal.ts'

export interface RoomTimeline {
  readonly snapshot: () => TimelineSnapshot
  readonly onChange: (listener: (snapshot: TimelineSnapshot) => void) => Unsubscribe
  /** Fetches older events until some of them show, or the beginning is reached. Throws a `Failure`. */
  readonly loadOlder: () => Promise<void>
  /** Tells the others that everything shown has been read. Does nothing where that was said already. */
  readonly markRead: () => Promise<void>
  readonly close: () => void
}

const PAGE = 40

/** Opens a room's timeline: rows that follow what happens, at most one new snapshot a turn. */
export function openTimeline(client: MatrixClient, room: Room, outbox: SendQueue): RoomTimeline {
  const ownUserId = client.getSafeUserId()
  const rowsByEvent = new Map<MatrixEvent, TimelineRow | null>()
  const quoted = new Map<string, MatrixEvent | null>()
  const changed = createSignal<TimelineSnapshot>()
  // a line is drawn only before what was new when the room was entered, not before what comes while it is being read
  const readUpTo = room.getUnreadNotificationCount() > 0 ? room.getEventReadUpTo(ownUserId) : null
  let isClosed = false
  let readSaid: string | undefined

  const live = (): EventTimeline => room.getLiveTimeline()
  const hasOlder = (): boolean => live().getPaginationToken(EventTimeline.BACKWARDS as Direction) !== null

  const quote = (eventId: string): Quote => {
    const known = room.findEventById(eventId) ?? quoted.get(eventId)
    if (known === undefined) fetchQuoted(eventId)
    if (!known) return { eventId, senderName: '', text: null }
    const senderId = known.getSender() ?? ''
    return { eventId, senderName: personOf(room.getMember(senderId), senderId).name, text: quoteTextOf(known) }
  }

  function fetchQuoted(eventId: string): void {
    quoted.set(eventId, null)
    client
      .fetchRoomEvent(room.roomId, eventId)
      .then(async (raw) => {
        const event = new MatrixEvent(raw)
        await client.decryptEventIfNeeded(event)
        quoted.set(eventId, event)
        rowsByEvent.clear()
        work.mark()
      })
      // an answer to something that cannot be seen keeps its empty quote
      .catch(() => undefined)
  }

  const rowFor = (event: MatrixEvent): TimelineRow | null => {
    const known = rowsByEvent.get(event)
    if (known !== undefined) return known
    const row = rowOf(event, room, ownUserId, quote) ?? null
    rowsByEvent.set(event, row)
    return row
  }

  const build = (): TimelineSnapshot => {
    const rows: TimelineRow[] = []
    const keys = new Set<string>()
    const readers = new Map<string, readonly Person[]>()
    for (const event of live().getEvents()) {
      const row = rowFor(event)
      if (row) {
        rows.push(row)
        keys.add(row.key)
        if (row.eventId) keys.add(row.eventId)
      }
      // a receipt on something that is not shown counts for the row before it
      const at = rows.at(-1)?.key
      const here = at === undefined ? [] : readersOf(event)
      if (at !== undefined && here.length > 0) readers.set(at, [...(readers.get(at) ?? []), ...here])
    }
    for (const item of outbox.items()) {
      if (item.roomId !== room.roomId || item.type !== 'm.room.message') continue
      if (!keys.has(item.txnId) && !(item.eventId && keys.has(item.eventId))) rows.push(pendingRow(item))
    }
    return { rows, readers, hasOlder: hasOlder(), readUpTo }
  }

  const readersOf = (event: MatrixEvent): Person[] =>
    room
      .getReceiptsForEvent(event)
      .flatMap(({ userId, type }) =>
        userId !== ownUserId && (type === ReceiptType.Read || type === ReceiptType.ReadPrivate)
          ? [personOf(room.getMember(userId), userId)]
          : [],
      )

  const pendingRow = (item: OutgoingItem): MessageRow => {
    const target = replyTargetOf(item.content)
    return {
      kind: 'message',
      key: item.txnId,
      eventId: null,
      ts: item.createdTs,
      sender: personOf(room.getMember(ownUserId), ownUserId),
      isOwn: true,
      body: bodyOf(item.content),
      isEdited: false,
      isEncrypted: room.hasEncryptionStateEvent(),
      replyTo: target ? quote(target) : null,
      reactions: [],
      send: item.state,
      mayRemove: false,
    }
  }

  let current = build()
  const work = coalesce(() => {
    current = build()
    changed.emit(current)
  })

  const forget = (event: MatrixEvent): void => {
    rowsByEvent.delete(event)
    work.mark()
  }
  const forgetById = (eventId: string | undefined): void => {
    const event = eventId ? room.findEventById(eventId) : undefined
    if (event) rowsByEvent.delete(event)
    work.mark()
  }
  const forgetAll = (): void => {
    rowsByEvent.clear()
    work.mark()
  }

  const isHere = (event: MatrixEvent): boolean => event.getRoomId() === room.roomId
  const onTimeline = (event: MatrixEvent, eventRoom: Room | undefined): void => {
    if (eventRoom?.roomId !== room.roomId) return
    // edits, reactions and redactions change the row of another event
    forgetById(event.getAssociatedId())
    work.mark()
  }
  const onReset = (eventRoom: Room | undefined): void => {
    if (eventRoom?.roomId === room.roomId) forgetAll()
  }
  const onRedaction = (event: MatrixEvent, eventRoom: Room): void => {
    if (eventRoom.roomId !== room.roomId) return
    const target = room.findEventById(event.event.redacts ?? '')
    forgetById(event.event.redacts)
    forgetById(target?.getAssociatedId())
  }
  const onEvent = (event: MatrixEvent): void => {
    if (isHere(event)) {
      forget(event)
      forgetById(event.getAssociatedId())
    }
  }
  const onEcho = (event: MatrixEvent, eventRoom: Room): void => {
    if (eventRoom.roomId === room.roomId) onEvent(event)
  }
  const onReceipt = (_event: MatrixEvent, eventRoom: Room): void => {
    if (eventRoom.roomId === room.roomId) work.mark()
  }
  const onMember = (_event: MatrixEvent, member: RoomMember): void => {
    if (member.roomId === room.roomId) forgetAll()
  }
  const onState = (event: MatrixEvent): void => {
    if (isHere(event) && event.getType() === 'm.room.power_levels') forgetAll()
  }
  client.on(RoomEvent.Timeline, onTimeline)
  client.on(RoomEvent.TimelineReset, onReset)
  client.on(RoomEvent.Redaction, onRedaction)
  client.on(RoomEvent.LocalEchoUpdated, onEcho)
  client.on(RoomEvent.Receipt, onReceipt)
  client.on(MatrixEventEvent.Decrypted, onEvent)
  client.on(MatrixEventEvent.Replaced, onEvent)
  client.on(RoomMemberEvent.Name, onMember)
  client.on(RoomStateEvent.Events, onState)
  const offOutbox = outbox.onChange((roomId) => {
    if (roomId === room.roomId) work.mark()
  })
  void room.decryptAllEvents()

  async function loadOlder(): Promise<void> {
    const before = current.rows.length
    try {
      // a page may hold nothing that shows; bounded, because each is a request
      for (let page = 0; page < 6 && hasOlder() && !isClosed; page++) {
        await client.paginateEventTimeline(live(), { backwards: true, limit: PAGE })
        await room.decryptAllEvents()
        current = build()
        if (current.rows.length >= before + 10) break
      }
    } catch (error) {
      throw failureOf(error)
    }
    if (!isClosed) changed.emit(current)
  }

  async function markRead(): Promise<void> {
    const events = live().getEvents()
    const last = events.findLast((event) => event.getId()?.startsWith('$') && !event.status)
    const eventId = last?.getId()
    if (!last || !eventId || readSaid === eventId) return
    if (room.getEventReadUpTo(ownUserId) === eventId && room.getUnreadNotificationCount() === 0) {
      readSaid = eventId
      return
    }
    readSaid = eventId
    try {
      await client.setRoomReadMarkers(room.roomId, eventId, last)
    } catch (error) {
      readSaid = undefined
      throw failureOf(error)
    }
  }

  return {
    snapshot: () => current,
    onChange: changed.on,
    loadOlder,
    markRead,
    close: () => {
      isClosed = true
      work.cancel()
      offOutbox()
      client.off(RoomEvent.Timeline, onTimeline)
      client.off(RoomEvent.TimelineReset, onReset)
      client.off(RoomEvent.Redaction, onRedaction)
      client.off(RoomEvent.LocalEchoUpdated, onEcho)
      client.off(RoomEvent.Receipt, onReceipt)
      client.off(MatrixEventEvent.Decrypted, onEvent)
      client.off(MatrixEventEvent.Replaced, onEvent)
      client.off(RoomMemberEvent.Name, onMember)
      client.off(RoomStateEvent.Events, onState)
    },
  }
}

/** Throws `notFound` where the room is not one of ours. */
export function getRoom(client: MatrixClient, roomId: string): Room {
  const room = client.getRoom(roomId)
  if (!room) throw new Failure('notFound')
  return room
}
