import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Pdu } from '../protocol/pdu.ts'
import type { OpenRoom } from './open-room.ts'
import { annotationValue, relationIn } from './relation.ts'
import { events } from './store.ts'

/** The newest annotations of one user that say the same are looked at; only the last one can still stand. */
const MAX_ANNOTATIONS = 16

/**
 * What our users may not relate to what. Only within `room.enter`.
 * Spec: client-server-api §Avoiding duplicate annotations, §Validation of m.thread relationships.
 *
 * @throws MatrixError 400 M_DUPLICATE_ANNOTATION; 400 M_UNKNOWN for a thread that begins in another event's children
 */
export async function checkRelation(room: OpenRoom, event: Pick<Pdu, 'type' | 'sender' | 'content'>): Promise<void> {
  // Those who may not look into the room are told by its rules alone.
  const relation = room.head.joined.has(event.sender) ? relationIn(event) : undefined
  if (relation?.relType === 'm.annotation') await checkAnnotation(room, relation.parent, event)
  if (relation?.relType !== 'm.thread') return
  const root = await room.find(relation.parent)
  if (root && relationIn(root.pdu)) {
    throw new MatrixError('M_UNKNOWN', 400, 'A thread cannot begin with an event that itself relates to another')
  }
}

async function checkAnnotation(
  room: OpenRoom,
  parent: string,
  event: Pick<Pdu, 'type' | 'sender' | 'content'>,
): Promise<void> {
  const value = annotationValue(parent, event)
  if (value === null) return
  const staged = [...room.staged()]
  const isRedacted = (eventId: string): boolean =>
    staged.some((other) => other.eventId === eventId && other.redactedBecause !== undefined)
  const rows = await room.lease.range(events, {
    index: 'relationBySender',
    from: value,
    to: `${value}\0`,
    direction: 'backward',
    limit: MAX_ANNOTATIONS,
  })
  const kept = await room.reader.completeAll(rows)
  const stands = [...kept.filter(({ eventId }) => !isRedacted(eventId)), ...staged].some(
    (other) => other.links?.relationBySender === value && other.redactedBecause === undefined && !other.isHidden,
  )
  if (stands) throw new MatrixError('M_DUPLICATE_ANNOTATION', 400, 'You have said this of the event already')
}
