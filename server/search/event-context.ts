/** What was said around a result. Spec: data/api/client-server/search.yaml, `event_context`. */
import type { JsonObject } from '../protocol/pdu.ts'
import { type EventViewer, type RoomEvent, type RoomView, timelineToken } from '../rooms/index.ts'

const MAX_LIMIT = 50
const PER_READ = 64
const MAX_READS = 4

export interface ContextWish {
  readonly before: number
  readonly after: number
  readonly includeProfile: boolean
}

/** @returns the context as JSON text */
export async function contextText(
  view: RoomView,
  event: RoomEvent,
  wish: ContextWish,
  looking: { readonly viewer: EventViewer; readonly ignored: ReadonlySet<string> },
): Promise<string> {
  const order = event.order ?? 0
  const before = await collect(view, { to: order }, wish.before, looking)
  const after = await collect(view, { from: order + 1 }, wish.after, looking)
  const textsOf = async (events: readonly RoomEvent[]): Promise<string> =>
    (await Promise.all(events.map((each) => view.render(each, looking.viewer)))).join(',')
  const parts = [
    `"start":${JSON.stringify(timelineToken(before.at(-1)?.order ?? order))}`,
    `"end":${JSON.stringify(timelineToken((after.at(-1)?.order ?? order) + 1))}`,
    `"events_before":[${await textsOf(before)}]`,
    `"events_after":[${await textsOf(after)}]`,
  ]
  if (wish.includeProfile) parts.push(`"profile_info":${await profilesText(view, event, [...before, event, ...after])}`)
  return `{${parts.join(',')}}`
}

/** What the user may see, going away from the result. */
async function collect(
  view: RoomView,
  place: { readonly from: number } | { readonly to: number },
  limit: number,
  { viewer, ignored }: { readonly viewer: EventViewer; readonly ignored: ReadonlySet<string> },
): Promise<readonly RoomEvent[]> {
  const wanted = Math.min(limit, MAX_LIMIT)
  const direction = 'from' in place ? 'forward' : 'backward'
  const found: RoomEvent[] = []
  let stretch = place
  for (let reads = 0; reads < MAX_READS && found.length < wanted; reads += 1) {
    const events = await view.timeline({ ...stretch, limit: PER_READ, direction })
    const shown = events.filter(({ pdu }) => pdu.state_key !== undefined || !ignored.has(pdu.sender))
    found.push(...(await view.visibleTo(viewer.userId, shown)))
    const last = events.at(-1)?.order
    if (last == null || events.length < PER_READ) break
    stretch = direction === 'forward' ? { from: last + 1 } : { to: last }
  }
  return found.slice(0, wanted)
}

/** Names and avatars of the senders as they were at the result. */
async function profilesText(view: RoomView, event: RoomEvent, shown: readonly RoomEvent[]): Promise<string> {
  const state = await view.stateAt(event.order ?? 0)
  const profiles = new Map<string, JsonObject>()
  for (const { pdu } of shown) {
    const { displayname, avatar_url } = state.get('m.room.member', pdu.sender)?.pdu.content ?? {}
    profiles.set(pdu.sender, {
      ...(typeof displayname === 'string' && { displayname }),
      ...(typeof avatar_url === 'string' && { avatar_url }),
    })
  }
  return JSON.stringify(Object.fromEntries(profiles))
}
