/** The server-default push rules. Spec: client-server-api §Predefined Rules. */
import type { Json, JsonObject } from './pdu.ts'
import type { PushRule, PushRuleKind, PushRuleset } from './push-rules.ts'

const SOUND: JsonObject = { set_tweak: 'sound', value: 'default' }
const RING: JsonObject = { set_tweak: 'sound', value: 'ring' }
const HIGHLIGHT: JsonObject = { set_tweak: 'highlight' }

const match = (key: string, pattern: string): JsonObject => ({ kind: 'event_match', key, pattern })

const rule = (rule_id: string, conditions: readonly JsonObject[], actions: PushRule['actions']): PushRule => ({
  rule_id,
  default: true,
  enabled: true,
  conditions,
  actions,
})

/** Off until the user wants no notifications at all; comes before all other rules, also the user's own. */
const MASTER: PushRule = { ...rule('.m.rule.master', [], []), enabled: false }

const SUPPRESS_NOTICES = rule('.m.rule.suppress_notices', [match('content.msgtype', 'm.notice')], [])
const MEMBER_EVENT = rule('.m.rule.member_event', [match('type', 'm.room.member')], [])
const AFTER_MENTION: readonly PushRule[] = [
  rule(
    '.m.rule.is_room_mention',
    [
      { kind: 'event_property_is', key: 'content.m\\.mentions.room', value: true },
      { kind: 'sender_notification_permission', key: 'room' },
    ],
    ['notify', HIGHLIGHT],
  ),
  rule('.m.rule.tombstone', [match('type', 'm.room.tombstone'), match('state_key', '')], ['notify', HIGHLIGHT]),
  rule('.m.rule.reaction', [match('type', 'm.reaction')], []),
  rule('.m.rule.room.server_acl', [match('type', 'm.room.server_acl'), match('state_key', '')], []),
  rule(
    '.m.rule.suppress_edits',
    [{ kind: 'event_property_is', key: 'content.m\\.relates_to.rel_type', value: 'm.replace' }],
    [],
  ),
]

const TWO_MEMBERS: JsonObject = { kind: 'room_member_count', is: '2' }
const UNDERRIDE: readonly PushRule[] = [
  rule('.m.rule.call', [match('type', 'm.call.invite')], ['notify', RING]),
  rule('.m.rule.encrypted_room_one_to_one', [TWO_MEMBERS, match('type', 'm.room.encrypted')], ['notify', SOUND]),
  rule('.m.rule.room_one_to_one', [TWO_MEMBERS, match('type', 'm.room.message')], ['notify', SOUND]),
  rule('.m.rule.message', [match('type', 'm.room.message')], ['notify']),
  rule('.m.rule.encrypted', [match('type', 'm.room.encrypted')], ['notify']),
]

/**
 * The rules that every user has, in their order within each kind; some name the user.
 * To join them with a user's own rules, use `joinPushRules`.
 */
export function defaultPushRules(userId: string): PushRuleset {
  return {
    override: [
      MASTER,
      SUPPRESS_NOTICES,
      rule(
        '.m.rule.invite_for_me',
        [match('type', 'm.room.member'), match('content.membership', 'invite'), match('state_key', userId)],
        ['notify', SOUND],
      ),
      MEMBER_EVENT,
      rule(
        '.m.rule.is_user_mention',
        [{ kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: userId }],
        ['notify', SOUND, HIGHLIGHT],
      ),
      ...AFTER_MENTION,
    ],
    content: [],
    room: [],
    sender: [],
    underride: UNDERRIDE,
  }
}

/** What a user changed about the server-default rules. */
export type DefaultRuleChanges = ReadonlyMap<string, { readonly enabled?: boolean; readonly actions?: readonly Json[] }>

/**
 * A user's rules as a whole: the own ones before the server-default ones of their kind, but all behind `.m.rule.master`.
 * @param join.own the user's own rules, highest priority first in each kind
 * @param join.changes by rule ID of a server-default rule
 */
export function joinPushRules(join: {
  readonly userId: string
  readonly own?: Partial<PushRuleset>
  readonly changes?: DefaultRuleChanges
}): PushRuleset {
  const { userId, own = {}, changes } = join
  const defaults = defaultPushRules(userId)
  const joined = (kind: PushRuleKind): readonly PushRule[] => {
    const changed = defaults[kind].map((rule) => ({ ...rule, ...changes?.get(rule.rule_id) }))
    const masters = changed.filter((rule) => rule.rule_id === '.m.rule.master')
    const others = changed.filter((rule) => rule.rule_id !== '.m.rule.master')
    return [...masters, ...(own[kind] ?? []), ...others]
  }
  return {
    override: joined('override'),
    content: joined('content'),
    room: joined('room'),
    sender: joined('sender'),
    underride: joined('underride'),
  }
}
