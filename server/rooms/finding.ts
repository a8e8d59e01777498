import type { RoomsCore } from './core.ts'
import { SpacesElsewhere } from './elsewhere/spaces.ts'
import type { TimedEvent, TimeWish } from './find-by-time.ts'
import { type HierarchyPage, type HierarchyWish, readHierarchy } from './hierarchy.ts'
import { findEventByTimeAnywhere } from './history/fetch-for-reader.ts'
import type { History } from './history/history.ts'
import type { OpenRooms } from './open-rooms.ts'
import { type RelationsPage, type RelationsWish, readRelations } from './read-relations.ts'
import { type Reader, readEventAnywhere } from './read-state.ts'
import { readThreads, type ThreadsPage, type ThreadsWish } from './read-threads.ts'
import { readSummary, type SummaryWish } from './room-summary.ts'
import { SpaceWalks } from './space-walks.ts'

/** The part of the door by which events and rooms are found that belong together. Events come as JSON text. */
export interface Finding {
  /** One event of any room that the reader is or was in. */
  readEventAnywhere(reader: Omit<Reader, 'roomId'>, eventId: string): Promise<string>
  /** What relates to an event. */
  readRelations(reader: Reader, wish: RelationsWish): Promise<RelationsPage>
  readThreads(reader: Reader, wish: ThreadsWish): Promise<ThreadsPage>
  findEventByTime(reader: Reader, wish: TimeWish): Promise<TimedEvent>
  readSummary(wish: SummaryWish): ReturnType<typeof readSummary>
  /** The rooms of a space. */
  readHierarchy(wish: HierarchyWish): Promise<HierarchyPage>
}

export function createFinding(core: RoomsCore, open: OpenRooms, history: History): Finding {
  const walks = new SpaceWalks(core.environment.random)
  const elsewhere = new SpacesElsewhere(core)
  return {
    readEventAnywhere: (reader, eventId) => readEventAnywhere(core, open, reader, eventId),
    readRelations: (reader, wish) => readRelations(core, open, reader, wish),
    readThreads: (reader, wish) => readThreads(core, open, reader, wish),
    findEventByTime: (reader, wish) => findEventByTimeAnywhere(core, open, history, reader, wish),
    readSummary: (wish) => readSummary(core, open, elsewhere, wish),
    readHierarchy: (wish) => readHierarchy(core, open, { walks, elsewhere }, wish),
  }
}
