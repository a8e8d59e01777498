import { depthOf } from '../protocol/event-format.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { RoomLease } from '../store/index.ts'
import type { KeptEvent } from './event.ts'
import type { EventReader } from './event-reader.ts'
import { readGap } from './gaps.ts'
import { allMembers, EMPTY_HEADS, type Extremity, type Heads, referenceTo } from './heads.ts'
import { RecentEvents } from './recent-events.ts'
import { StateLog } from './state-log.ts'
import { StateMap } from './state-map.ts'
import { currentState, events, gaps, heads as headsCollection, ranks } from './store.ts'

/** Where a room stands by what is on disk: its current state and its newest events are read, nothing else of its history. */
export async function readHeads(
  lease: RoomLease,
  reader: EventReader,
  rules: RoomVersionRules,
): Promise<{ heads: Heads; recent: RecentEvents; stateLog: StateLog }> {
  const rows = await lease.range(events, { index: 'order', direction: 'backward', limit: RecentEvents.SIZE })
  const [newest] = rows
  const stateRows = await lease.range(currentState, { index: 'slot' })
  const stateLog = new StateLog()
  const inState: KeptEvent[] = []
  let position = 0
  for (const row of stateRows) {
    const event = await reader.complete(row)
    inState.push(event)
    stateLog.read(event, row.since)
    position = Math.max(position, row.since)
  }
  const state = StateMap.of(inState)
  const recent = new RecentEvents(await reader.completeAll(rows.filter(({ order }) => order > 0).reverse()))
  const latestRank = (await lease.get(ranks, 'latest'))?.rank ?? 0
  if (!newest) return { heads: { ...EMPTY_HEADS, latestRank, state, ...allMembers(state) }, recent, stateLog }
  const [oldest] = await lease.range(events, { index: 'order', limit: 1 })
  const newestEvent = await reader.complete(newest)
  const row = newest.isHead ? undefined : await lease.get(headsCollection, 'head')
  const extremities = row
    ? (JSON.parse(row.extremities) as readonly Extremity[])
    : [
        {
          eventId: newest.eventId,
          reference: referenceTo(newestEvent, rules),
          depth: depthOf(newestEvent.pdu),
          group: newest.groupAfter,
        },
      ]
  return {
    heads: {
      position: Math.max(position, newest.position ?? 0),
      latestOrder: Math.max(newest.order, 0),
      earliestOrder: Math.min(oldest?.order ?? 1, 1),
      latestRank: Math.max(latestRank, newest.order),
      gaps: (await lease.range(gaps, { index: 'top' })).map(readGap),
      extremities,
      group: row?.group ?? newest.groupAfter,
      state,
      ...allMembers(state),
    },
    recent,
    stateLog,
  }
}
