/**
 * Changes to a user's push rules, from ruleset to ruleset. What is kept is the whole ruleset as clients see it; what a user
 * made of it is read back from there, so that new server-default rules reach everybody.
 * Spec: client-server-api §Push Rules; data/api/client-server/pushrules.yaml.
 */
import { invalidParam, MatrixError, missingParam, notFound } from '../../shared/matrix/errors.ts'
import { type DefaultRuleChanges, joinPushRules } from '../protocol/default-push-rules.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import { PUSH_RULE_KINDS, type PushRule, type PushRuleKind, type PushRuleset } from '../protocol/push-rules.ts'

/** What an account may have of its own rules, and of one rule's conditions and actions. */
export const MAX_OWN_RULES = 1_000
const MAX_CONDITIONS = 100
const MAX_ACTIONS = 20
const MAX_RULE_ID_LENGTH = 255
const MAX_PATTERN_LENGTH = 1_024
const HISTORICAL_ACTIONS: ReadonlySet<string> = new Set(['dont_notify', 'coalesce'])

/** A rule as a client sends it. */
export interface RuleRequest {
  readonly kind: PushRuleKind
  readonly ruleId: string
  readonly actions: readonly Json[]
  readonly conditions?: readonly Json[] | undefined
  readonly pattern?: string | undefined
  /** The rule ID of an own rule of the kind that this one is to come right before or after; `before` is the stronger. */
  readonly before?: string | undefined
  readonly after?: string | undefined
}

/** The ruleset in `content` of `m.push_rules`, brought up to date; the server's own where there is none. */
export function readRuleset(userId: string, content: JsonObject | undefined): PushRuleset {
  const global = content && ownValue(content, 'global')
  if (!isJsonObject(global)) return joinPushRules({ userId })
  const own: Record<PushRuleKind, PushRule[]> = { override: [], content: [], room: [], sender: [], underride: [] }
  const changes = new Map<string, { enabled: boolean; actions: readonly Json[] }>()
  for (const kind of PUSH_RULE_KINDS) {
    const kept = ownValue(global, kind)
    for (const rule of Array.isArray(kept) ? (kept as readonly Json[]) : []) {
      if (!isRule(rule)) continue
      if (rule.default) changes.set(rule.rule_id, { enabled: rule.enabled, actions: rule.actions })
      else own[kind].push(rule)
    }
  }
  return joinPushRules({ userId, own, changes: changes satisfies DefaultRuleChanges })
}

function isRule(rule: Json): rule is Json & PushRule & JsonObject {
  return (
    isJsonObject(rule) &&
    typeof rule.rule_id === 'string' &&
    typeof rule.default === 'boolean' &&
    typeof rule.enabled === 'boolean' &&
    Array.isArray(rule.actions)
  )
}

/** @throws MatrixError 404 M_NOT_FOUND */
export function getRule(ruleset: PushRuleset, kind: PushRuleKind, ruleId: string): PushRule {
  const rule = ruleset[kind].find((candidate) => candidate.rule_id === ruleId)
  if (!rule) throw notFound('There is no such push rule')
  return rule
}

/**
 * Adds a rule, or changes the one of that ID and kind, which stays enabled or disabled as it was, and in its place unless
 * another is asked for. A new one is enabled and comes before all own rules of its kind.
 * @throws MatrixError 400 for a rule that cannot be
 */
export function withRule(ruleset: PushRuleset, request: RuleRequest): PushRuleset {
  const { kind, ruleId } = request
  checkRuleId(ruleId)
  const known = ruleset[kind].find((rule) => rule.rule_id === ruleId)
  const ownCount = PUSH_RULE_KINDS.reduce((sum, each) => sum + ownRules(ruleset[each]).length, 0)
  if (!known && ownCount >= MAX_OWN_RULES) throw invalidParam('There are too many push rules')
  const rule: PushRule = {
    rule_id: ruleId,
    default: false,
    enabled: known?.enabled ?? true,
    ...parameters(request),
    actions: checkedActions(request.actions),
  }
  return { ...ruleset, [kind]: placed(ruleset[kind], rule, request) }
}

/** @throws MatrixError 400 for a server-default rule, 404 for one that is not there */
export function withoutRule(ruleset: PushRuleset, kind: PushRuleKind, ruleId: string): PushRuleset {
  if (getRule(ruleset, kind, ruleId).default) throw invalidParam('A server-default rule cannot be deleted')
  return { ...ruleset, [kind]: ruleset[kind].filter((rule) => rule.rule_id !== ruleId) }
}

/** @throws MatrixError 404 for a rule that is not there */
export function withEnabled(ruleset: PushRuleset, kind: PushRuleKind, ruleId: string, enabled: boolean): PushRuleset {
  getRule(ruleset, kind, ruleId)
  return { ...ruleset, [kind]: ruleset[kind].map((rule) => (rule.rule_id === ruleId ? { ...rule, enabled } : rule)) }
}

/** @throws MatrixError 400 for actions that cannot be, 404 for a rule that is not there */
export function withActions(
  ruleset: PushRuleset,
  kind: PushRuleKind,
  ruleId: string,
  actions: readonly Json[],
): PushRuleset {
  getRule(ruleset, kind, ruleId)
  const checked = checkedActions(actions)
  return {
    ...ruleset,
    [kind]: ruleset[kind].map((rule) => (rule.rule_id === ruleId ? { ...rule, actions: checked } : rule)),
  }
}

const ownRules = (rules: readonly PushRule[]): readonly PushRule[] => rules.filter((rule) => !rule.default)

function checkRuleId(ruleId: string): void {
  if (ruleId.startsWith('.')) throw invalidParam('Rule IDs that begin with a dot are reserved for server-default rules')
  if (ruleId === '' || ruleId.length > MAX_RULE_ID_LENGTH || /[/\\]/.test(ruleId)) {
    throw invalidParam('This cannot be the ID of a push rule')
  }
}

/** What belongs to a rule of this kind; the rest of the request means nothing there. */
function parameters({ kind, conditions = [], pattern }: RuleRequest): Pick<PushRule, 'conditions' | 'pattern'> {
  if (kind === 'override' || kind === 'underride') {
    if (conditions.length > MAX_CONDITIONS) throw invalidParam('The rule has too many conditions')
    return { conditions }
  }
  if (kind !== 'content') return {}
  if (pattern === undefined) throw missingParam('A content rule needs a pattern')
  if (pattern.length > MAX_PATTERN_LENGTH) throw invalidParam('The pattern is too long')
  return { pattern }
}

function checkedActions(actions: readonly Json[]): readonly Json[] {
  if (actions.length > MAX_ACTIONS) throw invalidParam('The rule has too many actions')
  const kept = actions.filter((action) => typeof action !== 'string' || !HISTORICAL_ACTIONS.has(action))
  for (const action of kept) {
    const isKnown = typeof action === 'string' ? action === 'notify' : isTweak(action)
    if (!isKnown) throw invalidParam('There is an action that is neither notify nor set_tweak')
  }
  return kept
}

function isTweak(action: Json): boolean {
  return isJsonObject(action) && typeof action.set_tweak === 'string'
}

/** The rules with this one in its place. */
function placed(rules: readonly PushRule[], rule: PushRule, { before, after }: RuleRequest): readonly PushRule[] {
  const index = rules.findIndex((each) => each.rule_id === rule.rule_id)
  const isAsked = before !== undefined || after !== undefined
  if (index !== -1 && !isAsked) return rules.with(index, rule)
  const others = rules.filter((each) => each.rule_id !== rule.rule_id)
  const relativeTo = before ?? after
  if (relativeTo === undefined) {
    // Only the master rule stands before the user's own.
    const first = others.findIndex((each) => each.rule_id !== '.m.rule.master')
    return others.toSpliced(first === -1 ? others.length : first, 0, rule)
  }
  const at = others.findIndex((each) => each.rule_id === relativeTo && !each.default)
  if (at === -1) throw new MatrixError('M_UNKNOWN', 400, `before/after rule not found: ${relativeTo}`)
  return others.toSpliced(before === undefined ? at + 1 : at, 0, rule)
}
