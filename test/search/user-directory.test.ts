import { describe, expect, it } from 'vitest'
import { searchUsers, type UserSources } from '../../server/search/user-directory.ts'

const me = '@me:hearth.test'
const person = (userId: string, displayname: string, isOutsider = false) => ({
  userId,
  isOutsider,
  profile: { displayname },
})

/** A home with bridges, and a room that users of another server are in. */
const sources = {
  serverName: 'hearth.test',
  accounts: {
    listPeople: async () => [
      person(me, 'Ada Me'),
      person('@near:hearth.test', 'Ada Near'),
      person('@_irc_in:hearth.test', 'Ada Bridged', true),
      person('@_irc_out:hearth.test', 'Ada Elsewhere', true),
    ],
  },
  rooms: {
    memberships: async () =>
      new Map([
        ['!joined', { membership: 'join' }],
        ['!left', { membership: 'leave' }],
      ]),
    changedSince: () => ['!joined', '!left'],
    serversIn: async () => new Set(['away.test']),
    joinedUsers: async (roomId: string) =>
      new Set(roomId === '!joined' ? [me, '@_irc_in:hearth.test', '@far:away.test'] : ['@gone:away.test']),
    open: async () => ({
      state: { get: () => ({ pdu: { content: { displayname: 'Ada Far', avatar_url: 7 } } }) },
      [Symbol.dispose]: () => undefined,
    }),
  },
  roomsForAll: { has: async () => false },
} as unknown as UserSources

describe('client-server-api §User Directory, whom the directory holds', () => {
  it('holds people of the home, and of bridges and other servers those with whom a room is shared', async () => {
    const { results } = await searchUsers(sources, { userId: me, term: 'ada', limit: undefined })
    expect(results).toEqual([
      { user_id: '@_irc_in:hearth.test', display_name: 'Ada Bridged' },
      { user_id: '@far:away.test', display_name: 'Ada Far' },
      { user_id: '@near:hearth.test', display_name: 'Ada Near' },
    ])
  })

  it('holds users of other servers that are in a room which is for all', async () => {
    const open = { ...sources, roomsForAll: { has: async (roomId: string) => roomId === '!left' } }
    const { results } = await searchUsers(open, { userId: me, term: '@gone:away', limit: undefined })
    expect(results).toEqual([{ user_id: '@gone:away.test', display_name: 'Ada Far' }])
    expect((await searchUsers(sources, { userId: me, term: '@gone:away', limit: undefined })).results).toEqual([])
  })

  it('gives no more than fifty', async () => {
    const many = Array.from({ length: 60 }, (_, i) => person(`@ada${i}:hearth.test`, `Ada ${i}`))
    const crowd = { ...sources, accounts: { listPeople: async () => many } }
    const found = await searchUsers(crowd, { userId: me, term: 'ada', limit: 1_000 })
    expect([found.results.length, found.limited]).toEqual([50, true])
  })
})
