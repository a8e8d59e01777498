/** The door of `rooms/`: what slices above read, and the use cases of the client API. */
export { timelineToken } from './batch-token.ts'
export * from './contract.ts'
export { DELAYED_EVENT_LIMITS } from './delayed-events.ts'
export type { DirectoryPage, DirectoryWish } from './directory.ts'
export type { Reader } from './read-state.ts'
export type { TimelineFilter } from './read-timeline.ts'
export { createRooms, type Rooms } from './rooms.ts'
export { noticeSender } from './server-notices.ts'
