import { describe, expect, it } from 'vitest'
import { alice, bob, carol, type Dag, dave, join, joinRules, member, newPublicRoom, powerLevels, topic } from './dag.ts'

const V2_AND_LATER = ['2', '3', '6', '9', '11', '12']
const ALL = ['1', ...V2_AND_LATER]

/** Alice's room with everybody in it; bob has 50 and carol 25. */
function roomOfFour(version: string): Dag {
  const dag = newPublicRoom(version, { users: { [bob]: 50, [carol]: 25 } })
  for (const who of [bob, carol, dave]) dag.add(join(`${who} joins`, who))
  dag.add(topic('first topic', alice))
  return dag
}
const levelsOf = (dag: Dag, users: Readonly<Record<string, number>>) =>
  dag.rules.privilegedCreators ? users : { [alice]: 100, ...users }
const outcome = (dag: Dag, ...names: string[]): Readonly<Record<string, string>> => dag.told(dag.resolve(...names))
const fork = { after: ['first topic'] }

describe.each(V2_AND_LATER)('rooms/v2 §State resolution, as told for version %s', (version) => {
  it('ban versus topic change: what a moderator does while she is banned is undone', () => {
    const dag = roomOfFour(version)
    dag.add(topic('topic by bob', bob, fork))
    dag.add(member('bob is banned', alice, bob, 'ban', fork))
    expect(outcome(dag, 'topic by bob', 'bob is banned')).toMatchObject({
      'm.room.topic': 'first topic',
      [`m.room.member ${bob}`]: 'bob is banned',
    })
  })

  it('ban versus topic change: it makes no difference when the ban was sent', () => {
    const dag = roomOfFour(version)
    dag.add(member('bob is banned', alice, bob, 'ban', { ...fork, ts: 9_000_000 }))
    dag.add(topic('topic by bob', bob, { ...fork, ts: 8_000_000 }))
    expect(outcome(dag, 'topic by bob', 'bob is banned')).toMatchObject({ 'm.room.topic': 'first topic' })
  })

  it('a topic change that the ban came after stays', () => {
    const dag = roomOfFour(version)
    dag.add(topic('topic by bob', bob, fork))
    dag.add(member('bob is banned', alice, bob, 'ban'))
    dag.add(topic('topic by alice', alice, fork))
    expect(outcome(dag, 'bob is banned', 'topic by alice')).toMatchObject({
      'm.room.topic': 'topic by alice',
      [`m.room.member ${bob}`]: 'bob is banned',
    })
  })

  it('a ban by who is banned at the same time by somebody with more power does not count', () => {
    const dag = roomOfFour(version)
    dag.add(member('carol is banned', bob, carol, 'ban', fork))
    dag.add(member('bob is banned', alice, bob, 'ban', fork))
    expect(outcome(dag, 'carol is banned', 'bob is banned')).toMatchObject({
      [`m.room.member ${bob}`]: 'bob is banned',
      [`m.room.member ${carol}`]: `${carol} joins`,
    })
  })

  it('a demotion beats what the demoted user promotes at the same time', () => {
    const dag = roomOfFour(version)
    dag.add(powerLevels('bob promotes dave', bob, levelsOf(dag, { [bob]: 50, [carol]: 25, [dave]: 50 }), fork))
    dag.add(powerLevels('alice demotes bob', alice, levelsOf(dag, { [carol]: 25 }), fork))
    expect(outcome(dag, 'bob promotes dave', 'alice demotes bob')).toMatchObject({
      'm.room.power_levels': 'alice demotes bob',
    })
  })

  it('two admins of one level cannot demote each other, and of two changes at once the later one stays', () => {
    const dag = roomOfFour(version)
    const admins = { [bob]: 100, [carol]: 100 }
    dag.add(powerLevels('two admins', alice, levelsOf(dag, admins)))
    const atOnce = { after: ['two admins'] }
    expect(dag.propose(powerLevels('x', bob, levelsOf(dag, { [bob]: 100 }), atOnce)).verdict.ok).toBe(false)
    expect(dag.propose(powerLevels('y', carol, levelsOf(dag, { [carol]: 100 }), atOnce)).verdict.ok).toBe(false)
    dag.add(powerLevels('by carol', carol, levelsOf(dag, { ...admins, [dave]: 7 }), { ...atOnce, ts: 3_000_000 }))
    dag.add(powerLevels('by bob', bob, levelsOf(dag, { ...admins, [dave]: 5 }), { ...atOnce, ts: 2_000_000 }))
    expect(outcome(dag, 'by bob', 'by carol')).toMatchObject({ 'm.room.power_levels': 'by carol' })
  })

  it('of two changes by equals in one moment, the one with the greater event ID stays', () => {
    const dag = roomOfFour(version)
    dag.add(powerLevels('two admins', alice, levelsOf(dag, { [bob]: 100, [carol]: 100 })))
    const atOnce = { after: ['two admins'], ts: 5_000_000 }
    dag.add(powerLevels('b', bob, levelsOf(dag, { [bob]: 100, [carol]: 100, [dave]: 5 }), atOnce))
    dag.add(powerLevels('a', carol, levelsOf(dag, { [bob]: 100, [carol]: 100, [dave]: 7 }), atOnce))
    expect(outcome(dag, 'a', 'b')).toMatchObject({ 'm.room.power_levels': 'b' })
  })

  it('an admin who steps down cannot be brought back by a fork from before', () => {
    const dag = roomOfFour(version)
    dag.add(powerLevels('bob is admin', alice, levelsOf(dag, { [bob]: 100, [carol]: 25 })))
    dag.add(powerLevels('bob steps down', bob, levelsOf(dag, { [carol]: 25 })))
    dag.add(powerLevels('bob on a fork', bob, levelsOf(dag, { [bob]: 100, [dave]: 100 }), { after: ['bob is admin'] }))
    const { 'm.room.power_levels': winner } = outcome(dag, 'bob steps down', 'bob on a fork')
    expect(winner).toBe('bob steps down')
  })

  it('power level reset attack: a demoted moderator gains nothing by events on top of the time before', () => {
    const dag = roomOfFour(version)
    dag.add(powerLevels('bob is demoted', alice, levelsOf(dag, { [carol]: 25 }), fork))
    const attack = powerLevels('bob resets', bob, levelsOf(dag, { [bob]: 50, [dave]: 50 }), { ...fork, ts: 1 })
    dag.add(attack)
    dag.add(topic('topic by dave', dave, { after: ['bob resets'] }))
    expect(outcome(dag, 'bob is demoted', 'topic by dave')).toMatchObject({
      'm.room.power_levels': 'bob is demoted',
      'm.room.topic': 'first topic',
    })
  })

  it('a ban is not evaded by a new join from before it', () => {
    const dag = roomOfFour(version)
    dag.add(member('dave is banned', bob, dave, 'ban', fork))
    dag.add(join('dave again', dave, { ...fork, ts: 9_000_000, content: { displayname: 'D' } }))
    expect(outcome(dag, 'dave is banned', 'dave again')).toMatchObject({ [`m.room.member ${dave}`]: 'dave is banned' })
  })

  it('join rule versus join: who joined while the room was closed is not in it', () => {
    const dag = newPublicRoom(version)
    dag.add(joinRules('closed', alice, 'invite'))
    dag.add(join('dave joins', dave, { after: ['public'] }))
    const state = outcome(dag, 'closed', 'dave joins')
    expect(state).toMatchObject({ 'm.room.join_rules': 'closed' })
    expect(state).not.toHaveProperty([`m.room.member ${dave}`])
  })

  it('join rule versus join: who was invited stays', () => {
    const dag = newPublicRoom(version)
    dag.add(member('dave is invited', alice, dave, 'invite'))
    dag.add(joinRules('closed', alice, 'invite'))
    dag.add(join('dave joins', dave, { after: ['dave is invited'] }))
    expect(outcome(dag, 'closed', 'dave joins')).toMatchObject({
      'm.room.join_rules': 'closed',
      [`m.room.member ${dave}`]: 'dave joins',
    })
  })

  it('a kick versus a change of profile: in a public room the user is back in, in a closed one out', () => {
    const told = (rule: string): string | undefined => {
      const dag = roomOfFour(version)
      dag.add(joinRules('rule', alice, rule))
      dag.add(member('dave is kicked', bob, dave, 'leave', { after: ['rule'] }))
      dag.add(join('new name', dave, { after: ['rule'], content: { displayname: 'D' } }))
      return outcome(dag, 'dave is kicked', 'new name')[`m.room.member ${dave}`]
    }
    expect(told('public')).toBe('new name')
    expect(told('invite')).toBe('dave is kicked')
  })

  it('of two topics at once the one that builds on newer power levels stays, whatever its clock says', () => {
    const dag = roomOfFour(version)
    dag.add(topic('on old levels', bob, { ...fork, ts: 9_000_000 }))
    dag.add(powerLevels('new levels', alice, levelsOf(dag, { [bob]: 50, [carol]: 50 }), { ...fork, ts: 2_000_000 }))
    dag.add(topic('on new levels', carol, { after: ['new levels'] }))
    expect(outcome(dag, 'on old levels', 'on new levels')).toMatchObject({ 'm.room.topic': 'on new levels' })
  })

  it('of two topics on the same power levels the later one stays', () => {
    const dag = roomOfFour(version)
    dag.add(topic('later', bob, { ...fork, ts: 9_000_000 }))
    dag.add(topic('earlier', bob, { ...fork, ts: 8_000_000 }))
    expect(outcome(dag, 'later', 'earlier')).toMatchObject({ 'm.room.topic': 'later' })
  })

  it('an entry that only one state has is kept, if the rules allow it', () => {
    const dag = newPublicRoom(version)
    dag.add(join('bob joins', bob))
    dag.add(join('dave joins', dave, { after: ['public'] }))
    expect(outcome(dag, 'bob joins', 'dave joins')).toMatchObject({
      [`m.room.member ${bob}`]: 'bob joins',
      [`m.room.member ${dave}`]: 'dave joins',
    })
  })

  it('holds for a hundred forks at once', () => {
    const dag = roomOfFour(version)
    const names = Array.from({ length: 100 }, (_, index) => `topic ${index}`)
    for (const name of names) dag.add(topic(name, bob, fork))
    dag.add(member('bob is banned', alice, bob, 'ban', fork))
    expect(outcome(dag, ...names)).toMatchObject({ 'm.room.topic': 'topic 99' })
    expect(outcome(dag, ...names, 'bob is banned')).toMatchObject({ 'm.room.topic': 'first topic' })
  })
})

describe('rooms/v7 §Authorization rules: knocks', () => {
  it.each(['7', '9', '12'])(
    'version %s: a knock on a room that stops letting users knock at the same time is dropped',
    (version) => {
      const dag = newPublicRoom(version)
      dag.add(joinRules('knock', alice, 'knock'))
      dag.add(joinRules('closed', alice, 'invite'))
      dag.add(member('dave knocks', dave, dave, 'knock', { after: ['knock'] }))
      expect(outcome(dag, 'closed', 'dave knocks')).not.toHaveProperty([`m.room.member ${dave}`])
    },
  )

  it.each(['7', '9', '12'])('version %s: an invite that answers a knock on another fork counts', (version) => {
    const dag = newPublicRoom(version)
    dag.add(joinRules('knock', alice, 'knock'))
    dag.add(member('dave knocks', dave, dave, 'knock'))
    dag.add(member('dave is invited', alice, dave, 'invite'))
    dag.add(topic('meanwhile', alice, { after: ['dave knocks'] }))
    expect(outcome(dag, 'dave is invited', 'meanwhile')).toMatchObject({ [`m.room.member ${dave}`]: 'dave is invited' })
  })
})

describe('rooms/v8 §Authorization rules: restricted joins', () => {
  const restricted = (version: string): Dag => {
    const dag = newPublicRoom(version, { users: { [bob]: 50 } })
    dag.add(join('bob joins', bob))
    dag.add(powerLevels('inviting needs 50', alice, levelsOf(dag, { [bob]: 50 }), { content: { invite: 50 } }))
    dag.add(joinRules('restricted', alice, 'restricted', { content: { allow: [] } }))
    const content = { join_authorised_via_users_server: bob }
    dag.add(join('dave joins', dave, { content }))
    return dag
  }

  it.each(['8', '9', '12'])('version %s: a join stays while who vouched for it may invite', (version) => {
    const dag = restricted(version)
    dag.add(topic('meanwhile', alice, { after: ['restricted'] }))
    expect(outcome(dag, 'dave joins', 'meanwhile')).toMatchObject({ [`m.room.member ${dave}`]: 'dave joins' })
  })

  it.each(['8', '9', '12'])(
    'version %s: a join falls when who vouched for it is demoted at the same time',
    (version) => {
      const dag = restricted(version)
      dag.add(
        powerLevels('bob is demoted', alice, levelsOf(dag, {}), { after: ['restricted'], content: { invite: 50 } }),
      )
      expect(outcome(dag, 'dave joins', 'bob is demoted')).not.toHaveProperty([`m.room.member ${dave}`])
    },
  )
})

describe('rooms/v12: creators in forks', () => {
  it('what a creator does comes before what anybody else does, however much power they have', () => {
    const dag = newPublicRoom('12', { users: { [bob]: Number.MAX_SAFE_INTEGER } })
    for (const who of [bob, carol]) dag.add(join(`${who} joins`, who))
    const atOnce = { after: [`${carol} joins`] }
    dag.add(
      powerLevels(
        'bob takes over',
        bob,
        { [bob]: Number.MAX_SAFE_INTEGER },
        { ...atOnce, content: { state_default: 9_000 }, ts: 1 },
      ),
    )
    dag.add(powerLevels('alice demotes bob', alice, {}, { ...atOnce, ts: 9_000_000 }))
    expect(outcome(dag, 'bob takes over', 'alice demotes bob')).toMatchObject({
      'm.room.power_levels': 'alice demotes bob',
    })
  })

  it('nobody can demote, kick or ban a creator on any fork', () => {
    const dag = newPublicRoom('12', { create: { additional_creators: [carol] }, users: { [bob]: 100 } })
    for (const who of [bob, carol]) dag.add(join(`${who} joins`, who))
    for (const creator of [alice, carol]) {
      expect(dag.propose(powerLevels('x', bob, { [bob]: 100, [creator]: 0 })).verdict.ok).toBe(false)
      expect(dag.propose(member('y', bob, creator, 'leave')).verdict.ok).toBe(false)
      expect(dag.propose(member('z', bob, creator, 'ban')).verdict.ok).toBe(false)
    }
  })

  it('an additional creator has the same say', () => {
    const dag = newPublicRoom('12', { create: { additional_creators: [carol] }, users: { [bob]: 100 } })
    for (const who of [bob, carol]) dag.add(join(`${who} joins`, who))
    const atOnce = { after: [`${carol} joins`] }
    dag.add(powerLevels('bob promotes dave', bob, { [bob]: 100, [dave]: 100 }, { ...atOnce, ts: 1 }))
    dag.add(member('carol bans bob', carol, bob, 'ban', { ...atOnce, ts: 9_000_000 }))
    expect(outcome(dag, 'bob promotes dave', 'carol bans bob')).toMatchObject({
      'm.room.power_levels': 'levels',
      [`m.room.member ${bob}`]: 'carol bans bob',
    })
  })
})

describe.each(ALL)('rooms/v%s §State resolution', (version) => {
  it('of no state is empty', () => {
    const dag = newPublicRoom(version)
    expect(outcome(dag)).toEqual({})
  })

  it('of one state is that state', () => {
    const dag = roomOfFour(version)
    expect(dag.resolve('first topic')).toEqual(dag.stateAfter('first topic'))
  })
})
