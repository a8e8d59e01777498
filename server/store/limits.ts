export interface StoreLimits {
  /** Rooms that stay open while nobody has a lease of them. */
  readonly openRooms: number
  /** About how many bytes of rows the open rooms may have together before unused ones are closed. */
  readonly openBytes: number
  /** The journal's changes are brought into the partitions' own files when it is larger. */
  readonly journalBytes: number
  /** A file of the journal is followed by a new one at this size. */
  readonly journalFileBytes: number
  /** Keys of one segment of a segmented collection. A folder keeps those of its existing collections. */
  readonly segmentRows: number
  /** Parts of segments that are kept decoded, in bytes on the disk. */
  readonly cacheBytes: number
  /** Segment files that are kept open. */
  readonly openFiles: number
  /** Long works give way after this time. */
  readonly sliceMs: number
  /** How long a stop may take to bring the journal's changes into the partitions' own files; the rest stays in the journal. */
  readonly stopMs: number
}

export const defaultLimits: StoreLimits = {
  openRooms: 64,
  openBytes: 64 * 1024 * 1024,
  journalBytes: 32 * 1024 * 1024,
  journalFileBytes: 8 * 1024 * 1024,
  segmentRows: 1024,
  cacheBytes: 16 * 1024 * 1024,
  openFiles: 64,
  sliceMs: 5,
  stopMs: 1_000,
}
