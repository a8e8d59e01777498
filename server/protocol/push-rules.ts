/**
 * Push rules: which one decides about an event, and what follows. Spec: client-server-api §Push Rules.
 */
import { compileGlob } from './glob.ts'
import { isJsonObject, ownValue } from './json.ts'
import type { Json, JsonObject } from './pdu.ts'
import { type CompiledCondition, compileCondition, type PushContext, type PushEvent } from './push-conditions.ts'

/** The kinds of rules, in the order in which they are asked. */
export const PUSH_RULE_KINDS = ['override', 'content', 'room', 'sender', 'underride'] as const
export type PushRuleKind = (typeof PUSH_RULE_KINDS)[number]

/** A rule as clients see it. Spec: data/api/client-server/definitions/push_rule.yaml. */
export interface PushRule {
  readonly rule_id: string
  readonly default: boolean
  readonly enabled: boolean
  /** Names of actions, or objects with their parameters. */
  readonly actions: readonly Json[]
  /** Of `override` and `underride` rules; without any a rule always matches. */
  readonly conditions?: readonly Json[]
  /** Of `content` rules. */
  readonly pattern?: string
}

/** All rules of a user; within a kind the first has the highest priority. */
export type PushRuleset = { readonly [kind in PushRuleKind]: readonly PushRule[] }

/** What is to happen for an event. The same object for all events that a rule decides about. */
export interface PushOutcome {
  /** Absent where no rule matched. */
  readonly ruleId?: string
  readonly notify: boolean
  readonly highlight: boolean
  /** The name of a sound, `default` or another. */
  readonly sound?: string
  /** All tweaks that the rule sets, for the push gateway. */
  readonly tweaks: JsonObject
  /** The rule's actions, historical ones left out. */
  readonly actions: readonly Json[]
}

const NO_RULE: PushOutcome = { notify: false, highlight: false, tweaks: {}, actions: [] }
const HISTORICAL_ACTIONS: ReadonlySet<Json> = new Set(['dont_notify', 'coalesce'])

interface CompiledRule {
  readonly conditions: readonly CompiledCondition[]
  readonly outcome: PushOutcome
}

/** A user's rules, ready to be asked. Costs about 20 µs to make, so keep it until the rules change. */
export interface CompiledPushRules {
  /** In the order of asking: `override` and `content`, then `underride`; between them rooms and senders are looked up. */
  readonly before: readonly CompiledRule[]
  readonly byRoom: ReadonlyMap<string, PushOutcome>
  readonly bySender: ReadonlyMap<string, PushOutcome>
  readonly after: readonly CompiledRule[]
}

/** Compiles the enabled rules of a user. Malformed rules and conditions never match; nothing throws. */
export function compilePushRules(ruleset: PushRuleset): CompiledPushRules {
  return {
    before: [
      ...ruleset.override.filter((rule) => rule.enabled).map(compileConditional),
      ...ruleset.content.filter((rule) => rule.enabled).map(compileContentRule),
    ],
    byRoom: compileById(ruleset.room),
    bySender: compileById(ruleset.sender),
    after: ruleset.underride.filter((rule) => rule.enabled).map(compileConditional),
  }
}

/**
 * Decides about an event for a user: by the first rule that matches, kind after kind. What the user sent never notifies.
 */
export function evaluate(evaluation: {
  readonly rules: CompiledPushRules
  readonly event: PushEvent
  readonly context: PushContext
}): PushOutcome {
  const { rules, event, context } = evaluation
  const { sender, room_id } = event.event
  if (sender === context.userId) return NO_RULE
  return (
    firstMatch(rules.before, event, context) ??
    (typeof room_id === 'string' ? rules.byRoom.get(room_id) : undefined) ??
    (typeof sender === 'string' ? rules.bySender.get(sender) : undefined) ??
    firstMatch(rules.after, event, context) ??
    NO_RULE
  )
}

function firstMatch(rules: readonly CompiledRule[], event: PushEvent, context: PushContext): PushOutcome | undefined {
  return rules.find(({ conditions }) => conditions.every((holds) => holds(event, context)))?.outcome
}

function compileConditional(rule: PushRule): CompiledRule {
  return { conditions: (rule.conditions ?? []).map(compileCondition), outcome: outcomeOf(rule) }
}

const BODY_PATH: readonly string[] = ['content', 'body']

function compileContentRule(rule: PushRule): CompiledRule {
  const glob = compileGlob(typeof rule.pattern === 'string' ? rule.pattern.toLowerCase() : '')
  const inBody: CompiledCondition = (event) => {
    const body = event.loweredText('content.body', BODY_PATH)
    return typeof rule.pattern === 'string' && body !== undefined && glob.matchesWords(body)
  }
  return { conditions: [inBody], outcome: outcomeOf(rule) }
}

function compileById(rules: readonly PushRule[]): ReadonlyMap<string, PushOutcome> {
  const byId = new Map<string, PushOutcome>()
  for (const rule of rules) {
    if (rule.enabled && !byId.has(rule.rule_id)) byId.set(rule.rule_id, outcomeOf(rule))
  }
  return byId
}

function outcomeOf(rule: PushRule): PushOutcome {
  const actions = rule.actions.filter((action) => !HISTORICAL_ACTIONS.has(action))
  const tweaks = tweaksOf(actions)
  const sound = ownValue(tweaks, 'sound')
  return {
    ruleId: rule.rule_id,
    notify: actions.includes('notify'),
    highlight: ownValue(tweaks, 'highlight') === true,
    ...(typeof sound === 'string' ? { sound } : {}),
    tweaks,
    actions,
  }
}

/** Of a tweak that is set twice the last one counts. */
function tweaksOf(actions: readonly Json[]): JsonObject {
  const tweaks: [string, Json][] = []
  for (const action of actions) {
    if (!isJsonObject(action) || typeof action.set_tweak !== 'string') continue
    const value = ownValue(action, 'value')
    if (value !== undefined) tweaks.push([action.set_tweak, value])
    // Only a highlight means something without a value.
    else if (action.set_tweak === 'highlight') tweaks.push(['highlight', true])
  }
  return Object.fromEntries(tweaks)
}
