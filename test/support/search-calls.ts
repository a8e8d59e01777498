/** Searching in rooms in the words of a test, and a look into the files of the index. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ApiReply } from './api.ts'
import { type ClientEvent, roomPath, send } from './room-calls.ts'
import type { Person } from './test-server.ts'

interface Result {
  readonly rank: number
  readonly result: ClientEvent
  readonly context?: {
    readonly start: string
    readonly end: string
    readonly events_before: readonly ClientEvent[]
    readonly events_after: readonly ClientEvent[]
    readonly profile_info?: Record<string, { displayname?: string; avatar_url?: string }>
  }
}
export interface Found {
  readonly count: number
  readonly highlights: readonly string[]
  readonly results: readonly Result[]
  readonly next_batch?: string
  readonly state?: Record<string, readonly ClientEvent[]>
  readonly groups?: Record<string, Record<string, { results: string[]; order: number; next_batch?: string }>>
}

const PATH = '/_matrix/client/v3/search'
export const ask = (
  who: Person,
  wish: Record<string, unknown>,
  nextBatch?: string,
): Promise<ApiReply<{ search_categories: { room_events: Found }; errcode: string }>> =>
  who.api.post(nextBatch === undefined ? PATH : `${PATH}?next_batch=${encodeURIComponent(nextBatch)}`, {
    search_categories: { room_events: wish },
  })
export async function find(
  who: Person,
  term: string,
  wish: Record<string, unknown> = {},
  next?: string,
): Promise<Found> {
  const { status, body } = await ask(who, { search_term: term, order_by: 'recent', ...wish }, next)
  if (status !== 200) throw new Error(`search: ${JSON.stringify(body)}`)
  return body.search_categories.room_events
}
export const ids = ({ results }: Found): readonly string[] => results.map(({ result }) => result.event_id)
export const redact = (who: Person, roomId: string, eventId: string): Promise<ApiReply> =>
  who.api.put(roomPath(roomId, `/redact/${encodeURIComponent(eventId)}/r${eventId}`), {})
export const edit = (who: Person, roomId: string, eventId: string, body: string): Promise<string> =>
  send(who, roomId, {
    type: 'm.room.message',
    content: {
      msgtype: 'm.text',
      body: `* ${body}`,
      'm.new_content': { msgtype: 'm.text', body },
      'm.relates_to': { rel_type: 'm.replace', event_id: eventId },
    },
  })

/** All that is in the files of the index. */
export async function indexText(dataDir: string): Promise<string> {
  const names = (await readdir(dataDir)).filter((name) => name.startsWith('search.sqlite'))
  const texts = await Promise.all(names.map((name) => readFile(join(dataDir, name), 'latin1')))
  return texts.join('\n')
}
