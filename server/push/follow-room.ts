import { isJsonObject } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import { PUSH_RULE_KINDS, type PushRule, type PushRuleset } from '../protocol/push-rules.ts'

/**
 * The ruleset in which the user's own rules for one room are there for the room that replaced it, too.
 * Spec: client-server-api §Room Upgrades. @returns the same object where there is nothing to add
 */
export function withRoomFollowed(ruleset: PushRuleset, from: string, to: string): PushRuleset {
  let followed = ruleset
  for (const kind of PUSH_RULE_KINDS) {
    const rules = followed[kind]
    const known = new Set(rules.map(({ rule_id }) => rule_id))
    const added = rules
      .filter((rule) => !rule.default && isFor(rule, kind === 'room', from))
      .map((rule) => moved(rule, from, to))
      .filter(({ rule_id }) => !known.has(rule_id))
    if (added.length > 0) followed = { ...followed, [kind]: withAdded(rules, added) }
  }
  return followed
}

/** Only the master rule stands before the user's own. */
function withAdded(rules: readonly PushRule[], added: readonly PushRule[]): readonly PushRule[] {
  const first = rules.findIndex((rule) => rule.rule_id !== '.m.rule.master')
  return rules.toSpliced(first === -1 ? rules.length : first, 0, ...added)
}

const namesRoom = (condition: Json, roomId: string): boolean =>
  isJsonObject(condition) &&
  condition.kind === 'event_match' &&
  condition.key === 'room_id' &&
  condition.pattern === roomId

const isFor = (rule: PushRule, isRoomRule: boolean, roomId: string): boolean =>
  isRoomRule ? rule.rule_id === roomId : (rule.conditions ?? []).some((condition) => namesRoom(condition, roomId))

/** Clients name rules for a room by its ID; a rule of another name gets both. */
function moved(rule: PushRule, from: string, to: string): PushRule {
  const ruleId = rule.rule_id.includes(from) ? rule.rule_id.replaceAll(from, to) : `${rule.rule_id} ${to}`
  return {
    ...rule,
    rule_id: ruleId,
    ...(rule.conditions && {
      conditions: rule.conditions.map((condition) =>
        namesRoom(condition, from) ? { ...(condition as JsonObject), pattern: to } : condition,
      ),
    }),
  }
}
