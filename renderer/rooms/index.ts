/** Rooms: the list, the timeline, writing. */
export { useRoomListStore } from './room-list-store.ts'
