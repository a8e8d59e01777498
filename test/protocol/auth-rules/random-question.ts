import fc from 'fast-check'
import type { KnownEvent } from '../../../server/protocol/auth-rules/index.ts'
import { eventIdOf } from '../../../server/protocol/event-id.ts'
import type { EventReference, JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, type RoomVersionRules } from '../../../server/protocol/room-versions.ts'

const alice = '@alice:one.example'
const bob = '@bob:two.example'
const carol = '@carol:three.example'
const nobody = '@nobody:one.example'
const people = fc.constantFrom(alice, bob, carol)

/** One event to be judged against a state that need not have come about in any lawful way. */
export interface Question {
  readonly version: string
  readonly event: KnownEvent
  readonly state: readonly KnownEvent[]
}

const level = (rules: RoomVersionRules): fc.Arbitrary<number | string> => {
  const plain = fc.constantFrom(-1, 0, 25, 49, 50, 50, 51, 75, 75, 100)
  if (rules.integerPowerLevels) return plain
  const text = fc.constantFrom('0', ' 50 ', '+75', '0100', '-1', '49')
  if (rules.strictCanonicalJson) return fc.oneof({ weight: 4, arbitrary: plain }, text)
  return fc.oneof({ weight: 4, arbitrary: plain }, text, fc.constantFrom(50.57, -0.5, 99.999))
}

const membership = fc.oneof(
  { weight: 3, arbitrary: fc.constant('join') },
  fc.constantFrom('join', 'invite', 'leave', 'ban', 'knock', undefined),
)

const powerLevelsContent = (rules: RoomVersionRules): fc.Arbitrary<JsonObject> => {
  const value = level(rules)
  const users = rules.privilegedCreators
    ? fc.constantFrom(bob, carol, nobody)
    : fc.constantFrom(alice, bob, carol, nobody)
  const optional = fc.option(value, { nil: undefined, freq: 3 })
  return fc
    .record({
      users: fc.option(fc.dictionary(users, value, { maxKeys: 3 }), { nil: undefined, freq: 6 }),
      events: fc.option(
        fc.dictionary(
          fc.constantFrom('m.room.topic', 'm.room.message', 'm.room.power_levels', 'm.room.aliases'),
          value,
          {
            maxKeys: 3,
          },
        ),
        { nil: undefined },
      ),
      notifications: fc.option(fc.dictionary(fc.constant('room'), value, { maxKeys: 1 }), { nil: undefined }),
      users_default: optional,
      events_default: optional,
      state_default: optional,
      ban: optional,
      kick: optional,
      redact: optional,
      invite: optional,
    })
    .map(withoutUndefined)
}

const joinRule = fc.constantFrom('public', 'invite', 'knock', 'restricted', 'knock_restricted', 'private', undefined)

interface Asked {
  readonly type: string
  readonly sender: string
  readonly stateKey: string | undefined
  readonly content: JsonObject
}

const asked = (rules: RoomVersionRules): fc.Arbitrary<Asked> =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .record({
          sender: people,
          stateKey: people,
          isOwn: fc.boolean(),
          membership: fc.constantFrom('join', 'invite', 'leave', 'ban', 'knock'),
          authoriser: fc.constantFrom(undefined, alice, bob),
        })
        .map(({ sender, stateKey, isOwn, membership: value, authoriser }) => ({
          type: 'm.room.member',
          sender,
          stateKey: isOwn ? sender : stateKey,
          content: withoutUndefined({ membership: value, join_authorised_via_users_server: authoriser }),
        })),
    },
    {
      weight: 4,
      arbitrary: fc
        .record({ sender: people, content: powerLevelsContent(rules) })
        .map(({ sender, content }) => ({ type: 'm.room.power_levels', sender, stateKey: '', content })),
    },
    {
      weight: 2,
      arbitrary: fc
        .record({
          type: fc.constantFrom(
            'm.room.topic',
            'm.room.message',
            'm.room.aliases',
            'm.room.third_party_invite',
            'org.example.own',
          ),
          sender: people,
          stateKey: fc.constantFrom(undefined, '', alice, bob, 'one.example', 'two.example'),
        })
        .map((event) => ({ ...event, content: {} })),
    },
  )

export const question = (version: string): fc.Arbitrary<Question> => {
  const rules = getRoomVersion(version)
  return fc
    .record({
      federates: fc.constantFrom(...Array.from({ length: 18 }, () => undefined), true, false),
      additional: fc.subarray([bob, carol]),
      members: fc.record({ [alice]: membership, [bob]: membership, [carol]: membership }),
      powerLevels: fc.option(powerLevelsContent(rules), { nil: undefined, freq: 5 }),
      joinRule,
      event: asked(rules),
      isFirst: fc.integer({ min: 0, max: 9 }).map((chance) => chance === 0),
      sameLevels: fc.boolean(),
    })
    .map(({ federates, additional, members, powerLevels, joinRule: rule, event, isFirst, sameLevels }) => {
      const isCreators = rules.privilegedCreators && additional.length > 0
      const create = build(rules, {
        type: 'm.room.create',
        sender: alice,
        stateKey: '',
        content: withoutUndefined({
          room_version: version,
          'm.federate': federates,
          creator: rules.creatorIsSender ? undefined : alice,
          additional_creators: isCreators ? additional : undefined,
        }),
      })
      const state: KnownEvent[] = [create]
      const add = (entry: Asked): void => void state.push(build(rules, entry, create))
      const [one, other, third] = Object.entries(members)
      for (const entry of [one, other, third]) {
        const [userId = '', value] = entry ?? []
        if (value) add({ type: 'm.room.member', sender: userId, stateKey: userId, content: { membership: value } })
      }
      if (powerLevels) add({ type: 'm.room.power_levels', sender: alice, stateKey: '', content: powerLevels })
      if (rule) add({ type: 'm.room.join_rules', sender: alice, stateKey: '', content: { join_rule: rule } })
      // Alterations are seldom allowed unless most stays as it is.
      const content =
        event.type === 'm.room.power_levels' && sameLevels ? merge(powerLevels, event.content) : event.content
      return { version, event: build(rules, { ...event, content }, create, isFirst), state }
    })
}

function merge(before: JsonObject | undefined, after: JsonObject): JsonObject {
  const [name] = Object.keys(after)
  return { ...before, ...(name === undefined ? {} : { [name]: after[name] as JsonObject }) }
}

function build(rules: RoomVersionRules, told: Asked, create?: KnownEvent, isFirst = false): KnownEvent {
  const domain = told.sender.slice(told.sender.indexOf(':') + 1)
  const isOfCreate = create === undefined
  const refer = (id: string): EventReference => (rules.eventIds === 'inEvent' ? [id, {}] : id)
  const other = rules.eventIds === 'inEvent' ? '$other:one.example' : `$${'o'.repeat(43)}`
  const previous = isOfCreate ? [] : isFirst ? [create.eventId] : [other]
  const roomId = rules.roomIdIsCreateHash ? create && `!${create.eventId.slice(1)}` : '!room:one.example'
  const pdu = withoutUndefined({
    event_id: rules.eventIds === 'inEvent' ? `$${hashOf(told)}:${domain}` : undefined,
    room_id: roomId,
    type: told.type,
    sender: told.sender,
    state_key: told.stateKey,
    content: told.content,
    prev_events: previous.map(refer),
    auth_events: [],
    depth: 5,
    origin_server_ts: 1_000,
    hashes: { sha256: 'not+checked+here' },
    signatures: {
      'one.example': { 'ed25519:1': 'x' },
      'two.example': { 'ed25519:1': 'x' },
      [domain]: { 'ed25519:1': 'x' },
    },
  }) as unknown as Pdu
  return { eventId: eventIdOf(pdu, rules), pdu }
}

const hashOf = (told: Asked): string =>
  [...JSON.stringify(told)].reduce((hash, char) => (hash * 31 + char.charCodeAt(0)) % 4_294_967_291, 7).toString(36)

function withoutUndefined(object: { readonly [key: string]: unknown }): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as JsonObject
}
