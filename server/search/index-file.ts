/**
 * The file of the search index, `search.sqlite`: words of events, and how far each room was read. All in it is made from the rooms
 * and can be made anew.
 */
import { open, rm } from 'node:fs/promises'
import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Of another format the file is thrown away. */
const FORMAT = 1
/** After so many commits they are moved from the log into the file: about half a megabyte. */
const COMMITS_PER_CHECKPOINT = 8
/** An entry's ID is its time and a number, so that the order of IDs, by which FTS5 reads, is that of time. */
const ENTRIES_PER_MS = 1_024
const LATEST_MS = 2 ** 43 - 1

/** One event as it is found. */
export interface Entry {
  readonly eventId: string
  readonly roomId: string
  readonly sender: string
  readonly ts: number
  readonly order: number
  /** Where its text stands. */
  readonly key: SearchKey
  readonly terms: string
}
export type SearchKey = 'content.body' | 'content.name' | 'content.topic'

/** A match, newest first by `id`. */
export interface Match extends Entry {
  readonly id: number
}

/** How far a room was read: all with `first <= order < next`, which held what the room had at `position`. */
export interface Progress {
  readonly roomId: string
  readonly position: number
  readonly first: number
  readonly next: number
  /** The event before `next`. Where the room has another there, it is not the room that was read. */
  readonly tail: string
}

const SCHEMA = `
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY, eventId TEXT NOT NULL UNIQUE, roomId TEXT NOT NULL, sender TEXT NOT NULL, ts INTEGER NOT NULL,
    place INTEGER NOT NULL, key TEXT NOT NULL, terms TEXT NOT NULL
  );
  CREATE INDEX entriesByPlace ON entries (roomId, place);
  CREATE TABLE edits (eventId TEXT PRIMARY KEY, roomId TEXT NOT NULL, original TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX editsByOriginal ON edits (original);
  CREATE INDEX editsByRoom ON edits (roomId);
  CREATE TABLE progress (
    roomId TEXT PRIMARY KEY, position INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL, tail TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE VIRTUAL TABLE words USING fts5(
    terms, content = 'entries', content_rowid = 'id', prefix = '2 3',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'"
  );
  INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
  PRAGMA user_version = ${FORMAT};
`

type EntryRow = Omit<Match, 'order'> & { readonly place: number }
const matchOf = ({ place, ...row }: EntryRow): Match => ({ ...row, order: place })

export class IndexFile implements AsyncDisposable {
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #statements = new Map<string, StatementSync>()
  #hasErased = true
  #commits = 0

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db
    this.#path = path
  }

  /** Opens the file, or begins a new one where there is none that can be read. */
  static async open(path: string): Promise<IndexFile> {
    // SQLite is not loaded before there is something to search.
    const { DatabaseSync } = await import('node:sqlite')
    const known = tryOpen(() => new DatabaseSync(path))
    if (known) return new IndexFile(known, path)
    await IndexFile.remove(path)
    const db = new DatabaseSync(path)
    prepare(db)
    db.exec(`BEGIN; ${SCHEMA} COMMIT`)
    return new IndexFile(db, path)
  }

  static async remove(path: string): Promise<void> {
    for (const end of ['', '-wal', '-shm', '-journal']) await rm(path + end, { force: true })
  }

  /** Runs writes as one: all of them are in the file, or none. */
  write(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.exec('COMMIT')
      this.#commits += 1
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }

  /** In place of what was kept of this event. */
  put(entry: Entry): void {
    this.remove(entry.eventId)
    const id = this.#freeId(entry.ts)
    const { eventId, roomId, sender, ts, order, key, terms } = entry
    this.#sql('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)').run(
      ...[id, eventId, roomId, sender, ts, order, key, terms],
    )
    this.#sql('INSERT INTO words (rowid, terms) VALUES (?, ?)').run(id, terms)
  }

  remove(eventId: string): void {
    const row = this.#sql('SELECT id, terms FROM entries WHERE eventId = ?').get(eventId)
    if (row) this.#erase(row)
  }

  /** Removes messages of a room from before a time or a place. @returns false where there may be more of them */
  removeBefore(
    bounds: { readonly roomId: string; readonly ts: number; readonly order: number },
    limit: number,
  ): boolean {
    const rows = this.#sql(
      `SELECT id, terms FROM entries WHERE roomId = ? AND key = 'content.body' AND (ts < ? OR place < ?) LIMIT ?`,
    ).all(bounds.roomId, atLeast(bounds.ts), atLeast(bounds.order), limit)
    for (const row of rows) this.#erase(row)
    return rows.length < limit
  }

  /** Removes what is known of a room. @returns false where there may be more of it */
  removeRoom(roomId: string, limit: number): boolean {
    this.#sql('DELETE FROM progress WHERE roomId = ?').run(roomId)
    this.#sql('DELETE FROM edits WHERE roomId = ?').run(roomId)
    const rows = this.#sql('SELECT id, terms FROM entries WHERE roomId = ? LIMIT ?').all(roomId, limit)
    for (const row of rows) this.#erase(row)
    return rows.length < limit
  }

  putEdit(edit: { readonly eventId: string; readonly roomId: string; readonly original: string }): void {
    this.#sql('INSERT OR REPLACE INTO edits VALUES (?, ?, ?)').run(edit.eventId, edit.roomId, edit.original)
  }

  /** What the event is, or was, an edit of. */
  originalOf(eventId: string): string | undefined {
    const row = this.#sql('SELECT original FROM edits WHERE eventId = ?').get(eventId)
    return row?.original as string | undefined
  }

  hasEdits(original: string): boolean {
    return this.#sql('SELECT 1 FROM edits WHERE original = ? LIMIT 1').get(original) !== undefined
  }

  putProgress({ roomId, position, first, next, tail }: Progress): void {
    this.#sql('INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, ?)').run(roomId, position, first, next, tail)
  }

  allProgress(): readonly Progress[] {
    return this.#sql('SELECT * FROM progress').all() as unknown as readonly Progress[]
  }

  /** Matches older than `before`, newest first. */
  matches(expression: string, before: number, limit: number): readonly Match[] {
    const rows = this.#sql(
      `SELECT entries.* FROM words JOIN entries ON entries.id = words.rowid
       WHERE words MATCH ? AND words.rowid < ? ORDER BY words.rowid DESC LIMIT ?`,
    ).all(expression, before, limit)
    return (rows as unknown as readonly EntryRow[]).map(matchOf)
  }

  /**
   * What was removed is then nowhere in the file, nor in the log beside it. Nothing may be written meanwhile.
   */
  async forgetErased(): Promise<void> {
    if (this.#hasErased) await this.#checkpoint()
  }

  /** Keeps the log short. Nothing may be written meanwhile. */
  async tidy(): Promise<void> {
    if (this.#commits >= COMMITS_PER_CHECKPOINT) await this.#checkpoint()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#checkpoint()
    } finally {
      this.#statements.clear()
      this.#db.close()
    }
  }

  /** Waits for the disk in Node's threads, since SQLite would wait in ours: the log is synced before it is copied, the file before it ends. */
  async #checkpoint(): Promise<void> {
    await sync(`${this.#path}-wal`)
    this.#db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    await sync(this.#path)
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    this.#hasErased = false
    this.#commits = 0
  }

  #erase({ id, terms }: Record<string, unknown>): void {
    this.#hasErased = true
    this.#sql(`INSERT INTO words (words, rowid, terms) VALUES ('delete', ?, ?)`).run(Number(id), String(terms))
    this.#sql('DELETE FROM entries WHERE id = ?').run(Number(id))
  }

  /** The first free ID of this time, or of the next one that has any. */
  #freeId(ts: number): number {
    for (let ms = Math.min(Math.max(0, Math.trunc(ts)), LATEST_MS); ; ms = ms === 0 ? LATEST_MS : ms - 1) {
      const start = ms * ENTRIES_PER_MS
      const end = start + ENTRIES_PER_MS
      const row = this.#sql('SELECT max(id) AS last FROM entries WHERE id >= ? AND id < ?').get(start, end)
      const next = row?.last == null ? start : Number(row.last) + 1
      if (next < end) return next
    }
  }

  #sql(text: string): StatementSync {
    const known = this.#statements.get(text)
    if (known) return known
    const made = this.#db.prepare(text)
    this.#statements.set(text, made)
    return made
  }
}

/** SQLite takes no infinities for integers. */
const atLeast = (n: number): number => Math.max(n, Number.MIN_SAFE_INTEGER)

async function sync(path: string): Promise<void> {
  await using file = await open(path, 'r+')
  await file.datasync()
}

/**
 * A power cut may lose the newest commits, each whole; the rooms are then read from an earlier place. For that, SQLite need not
 * sync anything itself: see `#checkpoint`.
 */
function prepare(db: DatabaseSync): void {
  db.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY
  `)
}

/** @returns `undefined` for a file that is none of ours, or broken */
function tryOpen(open: () => DatabaseSync): DatabaseSync | undefined {
  let db: DatabaseSync | undefined
  try {
    db = open()
    prepare(db)
    if (db.prepare('PRAGMA user_version').get()?.user_version === FORMAT) return db
  } catch {
    // Whatever is wrong with it, it is made anew.
  }
  db?.close()
  return undefined
}
