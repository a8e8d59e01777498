import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../../server/protocol/pdu.ts'
import { ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import {
  type Asked,
  alice,
  allowed,
  bob,
  carol,
  dave,
  levelsOf,
  rejected,
  type Setting,
  situation,
  versions,
} from './situation.ts'

const asked = (
  by: string,
  target: string,
  membership: Json,
  more: Partial<Asked> & { readonly also?: JsonObject } = {},
): Asked => ({
  by,
  type: 'm.room.member',
  key: target,
  ...more,
  content: { membership, ...more.also },
})
const join = (who: string, more: Parameters<typeof asked>[3] = {}): Asked => asked(who, who, 'join', more)
const MEMBERSHIPS = ['invite', 'join', 'leave', 'ban', 'knock', undefined] as const
const memberIs = (who: string, membership: string | undefined): Setting => ({
  members: membership === undefined ? {} : { [who]: membership },
})

describe.each(ROOM_VERSIONS)('rooms/v%s §Authorization rules: m.room.member', (version) => {
  const levels = (more: JsonObject = {}, users: JsonObject = {}): Setting => ({
    levels: levelsOf(version, more, users),
  })

  describe('1: form', () => {
    it('rejects an event without state_key', () => {
      const { judge } = situation(version, { rule: 'public' })
      expect(judge({ by: bob, type: 'm.room.member', content: { membership: 'join' } })).toEqual(rejected('state_key'))
    })

    it('rejects an event without membership', () => {
      const { judge } = situation(version, { rule: 'public' })
      expect(judge({ by: bob, type: 'm.room.member', key: bob })).toEqual(rejected('content.membership is missing'))
    })

    it('rejects a membership that is unknown', () => {
      const { judge } = situation(version, { rule: 'public' })
      for (const membership of [
        '',
        'JOIN',
        'joined',
        'peek',
        null,
        1,
        true,
        ['join'],
        { membership: 'join' },
      ] as const) {
        expect(judge(asked(alice, alice, membership))).toEqual(rejected('content.membership is unknown'))
      }
    })
  })

  describe('join', () => {
    it('lets the creator join right after the create event', () => {
      const { judge, create } = situation(version, { members: { [alice]: 'leave' } })
      expect(judge(join(alice, { previous: [create.eventId] }))).toEqual(allowed)
      expect(judge(join(alice))).toEqual(rejected('neither invited nor joined'))
      expect(judge(join(alice, { previous: [create.eventId, '$other'] }))).toEqual(
        rejected('neither invited nor joined'),
      )
      expect(judge(join(bob, { previous: [create.eventId] }))).toEqual(rejected('neither invited nor joined'))
    })

    it('rejects joining in the name of another', () => {
      const { judge } = situation(version, { rule: 'public' })
      expect(judge(asked(alice, bob, 'join'))).toEqual(rejected('sender is not the state_key'))
    })

    it('rejects the join of a user who is banned', () => {
      const { judge } = situation(version, { rule: 'public', members: { [bob]: 'ban' } })
      expect(judge(join(bob))).toEqual(rejected('banned'))
    })

    it.each(['invite', undefined] as const)('under join rule %s, lets in who is invited or joined already', (rule) => {
      for (const membership of MEMBERSHIPS) {
        const { judge } = situation(version, { ...(rule ? { rule } : {}), ...memberIs(bob, membership) })
        const isInside = membership === 'invite' || membership === 'join'
        expect(judge(join(bob)).ok, `${membership}`).toBe(isInside)
      }
    })

    it('under join rule public, lets in who is not banned', () => {
      for (const membership of MEMBERSHIPS) {
        const { judge } = situation(version, { rule: 'public', ...memberIs(bob, membership) })
        expect(judge(join(bob)).ok, `${membership}`).toBe(membership !== 'ban')
      }
    })

    it('under any other join rule, lets nobody in', () => {
      for (const rule of ['private', 'own', '', null, 5, ['public'], { join_rule: 'public' }] as const) {
        const { judge } = situation(version, { rule, members: { [bob]: 'invite' } })
        expect(judge(join(bob)), JSON.stringify(rule)).toEqual(rejected('join_rule'))
      }
    })
  })

  describe('invite', () => {
    it('rejects an invite by who is not joined', () => {
      for (const membership of ['invite', 'leave', 'ban', 'knock', undefined]) {
        const { judge } = situation(version, { members: membership ? { [bob]: membership } : {} })
        expect(judge(asked(bob, carol, 'invite'))).toEqual(rejected('sender is not joined'))
      }
    })

    it('rejects an invite of who is joined or banned, and allows all others', () => {
      for (const membership of MEMBERSHIPS) {
        const { judge } = situation(version, memberIs(bob, membership))
        expect(judge(asked(alice, bob, 'invite')).ok, `${membership}`).toBe(
          membership !== 'join' && membership !== 'ban',
        )
      }
    })

    it('needs the invite level, which is 0 where nothing is set', () => {
      const members = { [bob]: 'join' }
      expect(situation(version, { members }).judge(asked(bob, carol, 'invite'))).toEqual(allowed)
      const judgeAt = (level: number) =>
        situation(version, { members, ...levels({ invite: 30 }, { [bob]: level }) }).judge(asked(bob, carol, 'invite'))
      expect(judgeAt(30)).toEqual(allowed)
      expect(judgeAt(29)).toEqual(rejected('too little power to invite'))
    })
  })

  describe('leave', () => {
    it("allows one's own leave out of invite and join, and from version 7 on out of knock", () => {
      for (const membership of MEMBERSHIPS) {
        const { judge } = situation(version, memberIs(bob, membership))
        const mayLeave =
          membership === 'invite' || membership === 'join' || (membership === 'knock' && Number(version) >= 7)
        expect(judge(asked(bob, bob, 'leave')).ok, `${membership}`).toBe(mayLeave)
      }
    })

    it('rejects a kick by who is not joined', () => {
      const { judge } = situation(version, {
        members: { [bob]: 'invite', [carol]: 'join' },
        ...levels({}, { [bob]: 90 }),
      })
      expect(judge(asked(bob, carol, 'leave'))).toEqual(rejected('sender is not joined'))
    })

    it('needs the kick level, 50 where nothing is set, and more power than the target', () => {
      const members = { [bob]: 'join', [carol]: 'join' }
      const kick = (bobs: number, carols: number, more: JsonObject = {}) =>
        situation(version, { members, ...levels(more, { [bob]: bobs, [carol]: carols }) }).judge(
          asked(bob, carol, 'leave'),
        )
      expect(kick(50, 49)).toEqual(allowed)
      expect(kick(49, 0)).toEqual(rejected('too little power to kick'))
      expect(kick(50, 50)).toEqual(rejected('no more power'))
      expect(kick(50, 70)).toEqual(rejected('no more power'))
      expect(kick(10, 9, { kick: 10 })).toEqual(allowed)
      expect(kick(10, 9, { kick: 11 })).toEqual(rejected('too little power to kick'))
    })

    it('needs the ban level, too, where the target is banned', () => {
      const members = { [bob]: 'join', [carol]: 'ban' }
      const unban = (bobs: number, more: JsonObject) =>
        situation(version, { members, ...levels(more, { [bob]: bobs }) }).judge(asked(bob, carol, 'leave'))
      expect(unban(60, { kick: 20, ban: 60 })).toEqual(allowed)
      expect(unban(59, { kick: 20, ban: 60 })).toEqual(rejected('unban'))
      expect(unban(60, { kick: 70, ban: 60 })).toEqual(rejected('kick'))
    })
  })

  describe('ban', () => {
    it('rejects a ban by who is not joined', () => {
      const { judge } = situation(version, { members: { [bob]: 'leave' }, ...levels({}, { [bob]: 90 }) })
      expect(judge(asked(bob, carol, 'ban'))).toEqual(rejected('sender is not joined'))
    })

    it('needs the ban level, 50 where nothing is set, and more power than the target, who need not be there', () => {
      const ban = (bobs: number, carols: number, more: JsonObject = {}) =>
        situation(version, { members: { [bob]: 'join' }, ...levels(more, { [bob]: bobs, [carol]: carols }) }).judge(
          asked(bob, carol, 'ban'),
        )
      expect(ban(50, 0)).toEqual(allowed)
      expect(ban(49, 0)).toEqual(rejected('too little power to ban'))
      expect(ban(80, 80)).toEqual(rejected('no more power'))
      expect(ban(10, 9, { ban: 10 })).toEqual(allowed)
      expect(ban(10, 9, { ban: 11 })).toEqual(rejected('too little power to ban'))
    })
  })
})

describe('rooms/v7 §Authorization rules, 4.2.4 and 4.6: knocking', () => {
  it.each(versions(1, 6))('version %s: knows no knocks, as membership and as join rule', (version) => {
    const { judge } = situation(version, { rule: 'knock', members: { [carol]: 'invite' } })
    expect(judge(asked(bob, bob, 'knock'))).toEqual(rejected('content.membership is unknown'))
    expect(judge(join(carol))).toEqual(rejected('join_rule'))
  })

  const knockRules = [
    ...versions(7, 12).map((version) => [version, 'knock'] as const),
    ...versions(10, 12).map((version) => [version, 'knock_restricted'] as const),
  ]

  it.each(knockRules)('version %s: under join rule %s, allows a knock by who is outside', (version, rule) => {
    for (const membership of MEMBERSHIPS) {
      const { judge } = situation(version, { rule, ...memberIs(bob, membership) })
      const isOutside = membership === 'leave' || membership === 'knock' || membership === undefined
      expect(judge(asked(bob, bob, 'knock')).ok, `${membership}`).toBe(isOutside)
    }
  })

  it.each(knockRules)('version %s: under join rule %s, rejects a knock in the name of another', (version, rule) => {
    const { judge } = situation(version, { rule })
    expect(judge(asked(alice, bob, 'knock'))).toEqual(rejected('sender is not the state_key'))
  })

  it.each(knockRules)(
    'version %s: under join rule %s, lets in who is invited, but not who has only knocked',
    (version, rule) => {
      expect(situation(version, { rule, members: { [bob]: 'invite' } }).judge(join(bob))).toEqual(allowed)
      expect(situation(version, { rule, members: { [bob]: 'knock' } }).judge(join(bob)).ok).toBe(false)
    },
  )

  it.each([
    ...versions(7, 12).flatMap((version) =>
      ['public', 'invite', 'restricted', undefined].map((rule) => [version, rule] as const),
    ),
    ...versions(7, 9).map((version) => [version, 'knock_restricted'] as const),
  ])('version %s: rejects a knock under join rule %s', (version, rule) => {
    const { judge } = situation(version, rule ? { rule } : {})
    expect(judge(asked(bob, bob, 'knock'))).toEqual(rejected('does not let users knock'))
  })
})

describe('rooms/v8 and v10 §Authorization rules, 4.2 and 4.3.5: restricted joins', () => {
  const vouched = (by: Json, signedBy = ['one.example', 'two.example']) =>
    join(bob, { also: { join_authorised_via_users_server: by }, signedBy })

  const restrictedRules = [
    ...versions(8, 12).map((version) => [version, 'restricted'] as const),
    ...versions(10, 12).map((version) => [version, 'knock_restricted'] as const),
  ]

  it.each([
    ...versions(1, 7).map((version) => [version, 'restricted'] as const),
    ...versions(1, 9).map((version) => [version, 'knock_restricted'] as const),
  ])('version %s: does not know join rule %s', (version, rule) => {
    expect(situation(version, { rule, members: { [bob]: 'invite' } }).judge(vouched(alice))).toEqual(
      rejected('join_rule'),
    )
  })

  it.each(restrictedRules)(
    'version %s, %s: lets in who is invited or joined, without anybody vouching',
    (version, rule) => {
      for (const membership of ['invite', 'join']) {
        expect(situation(version, { rule, members: { [bob]: membership } }).judge(join(bob))).toEqual(allowed)
      }
    },
  )

  it.each(restrictedRules)(
    'version %s, %s: lets in for whom a joined user with the power to invite vouches',
    (version, rule) => {
      const setting = { rule, levels: levelsOf(version, { invite: 40 }, { [carol]: 40, [dave]: 39 }) }
      const members = { [carol]: 'join', [dave]: 'join' }
      const { judge } = situation(version, { ...setting, members })
      expect(judge(vouched(alice))).toEqual(allowed)
      expect(judge(vouched(carol, ['three.example', 'two.example']))).toEqual(allowed)
      expect(judge(vouched(dave))).toEqual(rejected('too little power to invite'))
      expect(
        situation(version, { ...setting, members: { [carol]: 'invite' } }).judge(vouched(carol, ['three.example'])),
      ).toEqual(rejected('is not joined'))
    },
  )

  it.each(restrictedRules)('version %s, %s: rejects a join for which nobody vouches', (version, rule) => {
    expect(situation(version, { rule }).judge(join(bob))).toEqual(
      rejected('join_authorised_via_users_server is missing'),
    )
  })

  it.each(restrictedRules)('version %s, %s: rejects the join of who is banned, whoever vouches', (version, rule) => {
    expect(situation(version, { rule, members: { [bob]: 'ban' } }).judge(vouched(alice))).toEqual(rejected('banned'))
  })

  it.each(versions(8, 12))(
    'version %s: rejects what the voucher’s server has not signed, whatever the membership',
    (version) => {
      const { judge } = situation(version, { rule: 'public', members: { [bob]: 'join' } })
      expect(judge(vouched(carol))).toEqual(rejected('signatures'))
      const leave = asked(bob, bob, 'leave', { also: { join_authorised_via_users_server: carol } })
      expect(judge(leave)).toEqual(rejected('signatures'))
      expect(judge({ ...leave, signedBy: ['three.example'] })).toEqual(allowed)
    },
  )

  it.each(versions(8, 12))('version %s: rejects a voucher who is no user', (version) => {
    const { judge } = situation(version, { rule: 'public' })
    for (const voucher of ['', 'carol', '@carol', null, 5, [alice], { [alice]: 1 }] as const) {
      expect(judge(vouched(voucher)), JSON.stringify(voucher)).toEqual(rejected('join_authorised_via_users_server'))
    }
  })

  it.each(versions(8, 12))('version %s: is not fooled by servers named like properties of every object', (version) => {
    const { judge } = situation(version, { rule: 'public' })
    expect(judge(vouched('@x:constructor'))).toEqual(rejected('signatures'))
    expect(judge(vouched('@x:toString'))).toEqual(rejected('signatures'))
  })

  it.each(versions(1, 7))('version %s: does not care who vouches', (version) => {
    expect(situation(version, { rule: 'public' }).judge(vouched(5))).toEqual(allowed)
  })
})

describe('rooms/v12 §Authorization rules: creators', () => {
  const create = { additional_creators: [bob] }
  const members = { [bob]: 'join', [carol]: 'join' }

  it('lets creators kick and ban whoever has a finite level', () => {
    const { judge } = situation('12', {
      create,
      members,
      levels: { users: { [carol]: Number.MAX_SAFE_INTEGER }, ban: 500, kick: 500 },
    })
    expect(judge(asked(alice, carol, 'ban'))).toEqual(allowed)
    expect(judge(asked(bob, carol, 'leave'))).toEqual(allowed)
  })

  it('lets nobody kick or ban a creator, not even another creator', () => {
    const { judge } = situation('12', { create, members, levels: { users: { [carol]: Number.MAX_SAFE_INTEGER } } })
    expect(judge(asked(carol, alice, 'ban'))).toEqual(rejected('no more power'))
    expect(judge(asked(carol, bob, 'leave'))).toEqual(rejected('no more power'))
    expect(judge(asked(alice, bob, 'ban'))).toEqual(rejected('no more power'))
    expect(judge(asked(bob, alice, 'leave'))).toEqual(rejected('no more power'))
  })

  it('lets only the sender of the create event join without an invite, not the additional creators', () => {
    const { judge, create: event } = situation('12', { create, members: { [alice]: 'leave' } })
    expect(judge(join(alice, { previous: [event.eventId] }))).toEqual(allowed)
    expect(judge(join(bob, { previous: [event.eventId] }))).toEqual(rejected('neither invited nor joined'))
  })

  it.each(versions(1, 11))('version %s: gives additional_creators nothing', (version) => {
    const { judge } = situation(version, { create, members })
    expect(judge(asked(bob, carol, 'ban'))).toEqual(rejected('too little power'))
  })
})
