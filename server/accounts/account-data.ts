import { badJson, invalidParam, MatrixError, notFound, tooLarge } from '../../shared/matrix/errors.ts'
import { utf8ByteLength } from '../../shared/matrix/identifiers.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import { orderKey, put, type Store } from '../store/index.ts'
import type { Announcer } from './announcements.ts'
import type { AccountDataEntry } from './contract.ts'
import { type AccountDataRow, accountDataRows, exactly, rowKey } from './store.ts'

/** Of one value's content as JSON. */
export const MAX_CONTENT_BYTES = 512 * 1024
const MAX_TYPE_BYTES = 255
const MAX_TAG_BYTES = 255
/** In one room; each tag is sent whenever one of them changes. */
const MAX_TAGS = 200

/** Types that only the server writes. Spec: client-server-api §Client Config, Server Behaviour. */
const MANAGED_TYPES: ReadonlySet<string> = new Set(['m.fully_read', 'm.push_rules'])

export interface AccountDataChange {
  readonly userId: string
  readonly roomId: string | null
  readonly type: string
  readonly position: number
}

/** A place where account data lies: the user's own (`roomId` null) or that for a room. */
export interface AccountDataPlace {
  readonly userId: string
  readonly roomId: string | null
  readonly type: string
}

/** Spec: client-server-api modules account_data and tags. */
export interface AccountData {
  find(place: AccountDataPlace): Promise<AccountDataEntry | undefined>
  since(userId: string, since: number, upTo: number): Promise<readonly AccountDataEntry[]>
  list(userId: string, roomId: string | null): Promise<readonly AccountDataEntry[]>
  set(entry: AccountDataPlace & { content: JsonObject }): Promise<number>
  /**
   * As `set`, with what a client may not do refused.
   * @throws MatrixError 405 M_BAD_JSON for types that the server manages; 400 M_INVALID_PARAM; 413 M_TOO_LARGE
   */
  setAsClient(entry: AccountDataPlace & { content: JsonObject }): Promise<void>
  /** @throws MatrixError 404 M_NOT_FOUND */
  getContent(place: AccountDataPlace): Promise<JsonObject>
  tagsOf(userId: string, roomId: string): Promise<Readonly<Record<string, JsonObject>>>
  /** @throws MatrixError 400 M_INVALID_PARAM for a name over 255 bytes or one tag too many, M_BAD_JSON for an order outside 0 to 1 */
  setTag(tag: { userId: string; roomId: string; name: string; content: JsonObject }): Promise<void>
  /** Removing a tag that is not there changes nothing. */
  removeTag(tag: { userId: string; roomId: string; name: string }): Promise<void>
}

function entryOf(row: AccountDataRow): AccountDataEntry {
  const { userId, roomId, type, json, position } = row
  return { userId, roomId, type, content: JSON.parse(json) as JsonObject, position }
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function createAccountData({
  store,
  changed,
}: {
  store: Store
  changed: Announcer<AccountDataChange>
}): AccountData {
  const idOf = ({ userId, roomId, type }: AccountDataPlace): string => rowKey(userId, roomId ?? '', type)

  async function find(place: AccountDataPlace): Promise<AccountDataEntry | undefined> {
    const row = await store.home.get(accountDataRows, idOf(place))
    return row && entryOf(row)
  }

  async function set({ userId, roomId, type, content }: AccountDataPlace & { content: JsonObject }): Promise<number> {
    const id = idOf({ userId, roomId, type })
    const json = JSON.stringify(content)
    const scope = rowKey(userId, roomId ?? '')
    const position = await store.commit((position) => [
      put(accountDataRows, { id, userId, roomId, type, json, position, scope, order: orderKey(userId, position) }),
    ])
    changed.announce({ userId, roomId, type, position })
    return position
  }

  async function tagsOf(userId: string, roomId: string): Promise<Readonly<Record<string, JsonObject>>> {
    const tags = (await find({ userId, roomId, type: 'm.tag' }))?.content.tags
    // Clients may also write m.tag themselves, so it need not hold what it should.
    if (!isObject(tags)) return {}
    return Object.fromEntries(Object.entries(tags).filter((tag): tag is [string, JsonObject] => isObject(tag[1])))
  }

  /** @param change gives the new tags, or `undefined` where there is nothing to do */
  async function changeTags(
    userId: string,
    roomId: string,
    change: (tags: Readonly<Record<string, JsonObject>>) => Readonly<Record<string, JsonObject>> | undefined,
  ): Promise<void> {
    await store.exclusive(`accounts:${userId}`, async () => {
      const tags = change(await tagsOf(userId, roomId))
      if (tags) await set({ userId, roomId, type: 'm.tag', content: { tags } })
    })
  }

  return {
    find,
    set,
    tagsOf,

    async since(userId, since, upTo) {
      const from = orderKey(userId, since + 1)
      const rows = await store.home.range(accountDataRows, { index: 'order', from, to: orderKey(userId, upTo + 1) })
      return rows.map(entryOf)
    },

    async list(userId, roomId) {
      const rows = await store.home.range(accountDataRows, exactly('scope', rowKey(userId, roomId ?? '')))
      return rows.map(entryOf)
    },

    async setAsClient(entry) {
      if (MANAGED_TYPES.has(entry.type)) {
        throw new MatrixError('M_BAD_JSON', 405, `Cannot set ${entry.type} through this API`)
      }
      if (entry.type === '' || utf8ByteLength(entry.type) > MAX_TYPE_BYTES) {
        throw invalidParam(`A type has 1 to ${MAX_TYPE_BYTES} bytes`)
      }
      if (Buffer.byteLength(JSON.stringify(entry.content)) > MAX_CONTENT_BYTES) {
        throw tooLarge('Account data has at most 512 KiB')
      }
      await set(entry)
    },

    async getContent(place) {
      const entry = await find(place)
      if (!entry) throw notFound('There is no account data of this type')
      return entry.content
    },

    async setTag({ userId, roomId, name, content }) {
      if (name === '' || utf8ByteLength(name) > MAX_TAG_BYTES) {
        throw invalidParam(`The name of a tag has 1 to ${MAX_TAG_BYTES} bytes`)
      }
      const { order } = content
      if (order !== undefined && !(typeof order === 'number' && order >= 0 && order <= 1)) {
        throw badJson("'order' must be a number from 0 to 1")
      }
      await changeTags(userId, roomId, (tags) => {
        if (!Object.hasOwn(tags, name) && Object.keys(tags).length >= MAX_TAGS) {
          throw invalidParam(`A room has at most ${MAX_TAGS} tags`)
        }
        const others = Object.entries(tags).filter(([other]) => other !== name)
        return Object.fromEntries([...others, [name, content]])
      })
    },

    removeTag: ({ userId, roomId, name }) =>
      changeTags(userId, roomId, (tags) =>
        Object.hasOwn(tags, name)
          ? Object.fromEntries(Object.entries(tags).filter(([other]) => other !== name))
          : undefined,
      ),
  }
}
