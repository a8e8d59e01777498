/** Words for tests of simplified sliding sync: requests, and what a client sees in the answers. */
import type { SlidingSyncBody } from '../../shared/api/client/sync-msc4186.ts'
import type { Api, ApiReply } from '../support/api.ts'
import type { WireEvent } from './rig.ts'

export interface SlidingRoom {
  readonly initial?: boolean
  readonly membership?: string
  readonly lists?: readonly string[]
  readonly name?: string | null
  readonly avatar?: string | null
  readonly heroes?: readonly { readonly user_id: string; readonly displayname?: string }[]
  readonly is_dm?: boolean
  readonly bump_stamp?: number
  readonly required_state?: readonly WireEvent[]
  readonly timeline?: readonly WireEvent[]
  readonly prev_batch?: string
  readonly limited?: boolean
  readonly num_live?: number
  readonly unstable_expanded_timeline?: boolean
  readonly joined_count?: number
  readonly invited_count?: number
  readonly notification_count?: number
  readonly highlight_count?: number
  readonly invite_state?: readonly WireEvent[]
  readonly knock_state?: readonly WireEvent[]
}

export interface SlidingBody {
  readonly pos: string
  readonly lists: Readonly<Record<string, { readonly count: number }>>
  readonly rooms: Readonly<Record<string, SlidingRoom>>
  readonly extensions: {
    readonly to_device?: { readonly next_batch: string; readonly events: readonly WireEvent[] }
    readonly e2ee?: {
      readonly device_lists?: { readonly changed: readonly string[]; readonly left: readonly string[] }
      readonly device_one_time_keys_count: Readonly<Record<string, number>>
      readonly device_unused_fallback_key_types: readonly string[]
    }
    readonly account_data?: {
      readonly global: readonly WireEvent[]
      readonly rooms: Readonly<Record<string, readonly WireEvent[]>>
    }
    readonly receipts?: { readonly rooms: Readonly<Record<string, WireEvent>> }
    readonly typing?: { readonly rooms: Readonly<Record<string, WireEvent>> }
  }
}

export const SLIDING = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'

interface Query {
  readonly pos?: string
  readonly timeout?: number
}
type Who = { readonly api: Api }

/** Presence would wake others at moments that a test does not mean. */
export function trySlide(who: Who, body: SlidingSyncBody, query: Query = {}): Promise<ApiReply<SlidingBody>> {
  const asked = new URLSearchParams({ set_presence: 'offline' })
  for (const [name, value] of Object.entries(query)) asked.set(name, String(value))
  return who.api.post<SlidingBody>(`${SLIDING}?${asked}`, body)
}

export async function slide(who: Who, body: SlidingSyncBody, query: Query = {}): Promise<SlidingBody> {
  const reply = await trySlide(who, body, query)
  if (reply.status !== 200) throw new Error(`sliding sync: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

type ListWish = NonNullable<SlidingSyncBody['lists']>[string]

/** One list, `all`, of the rooms from the newest to the one at that index. */
export function listTo(last: number, more: Partial<ListWish> = {}): Pick<SlidingSyncBody, 'lists'> {
  return { lists: { all: { ranges: [[0, last]], timeline_limit: 1, required_state: [], ...more } } }
}

export const bodiesOf = (room: SlidingRoom | undefined): readonly unknown[] =>
  (room?.timeline ?? []).map(({ content, type }) => content.body ?? type)

/** `type|state key` of each piece of state, sorted. */
export const stateOf = (room: SlidingRoom | undefined): readonly string[] =>
  (room?.required_state ?? []).map(({ type, state_key }) => `${type}|${state_key}`).toSorted()

export const roomsIn = ({ rooms }: SlidingBody): readonly string[] => Object.keys(rooms)
