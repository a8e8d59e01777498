/** What e2ee must know of rooms, which lie above it. Given by `app/`. */
export interface Neighbours {
  /** Other servers with members in rooms that one of our users is in, without those that this home has blocked. */
  serversOf(userId: string): Promise<ReadonlySet<string>>
  /** Servers in a room that one of our users has come into, of which none is in another room with that user. */
  newServersOf(userId: string, roomId: string): Promise<ReadonlySet<string>>
  /** Those of these users, all of one server, who share a room with any of ours. */
  near(serverName: string, userIds: ReadonlySet<string>): Promise<ReadonlySet<string>>
  /** Whether this home has nothing to do with a server. */
  isBlocked(serverName: string): boolean
}
