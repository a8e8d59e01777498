import { Type } from 'typebox'
import { AnyObject, type Json } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

export const PushRuleKind = Type.Union([
  Type.Literal('override'),
  Type.Literal('content'),
  Type.Literal('room'),
  Type.Literal('sender'),
  Type.Literal('underride'),
])

/** A name, or an object with the parameters of the action. */
const Action = Type.Union([Type.String(), AnyObject])

/** Spec: data/api/client-server/definitions/push_condition.yaml. */
const PushCondition = Type.Object({
  kind: Type.String(),
  key: Type.Optional(Type.String()),
  pattern: Type.Optional(Type.String()),
  is: Type.Optional(Type.String()),
  value: Type.Optional(Type.Union([Type.String(), Type.Integer(), Type.Boolean(), Type.Null()])),
})

/** A rule as clients see it. Actions and conditions that we do not know are carried, so they may be anything. */
interface Rule {
  readonly actions: readonly Json[]
  readonly default: boolean
  readonly enabled: boolean
  readonly rule_id: string
  readonly conditions?: readonly Json[]
  readonly pattern?: string
}
type Ruleset = { readonly [kind in 'override' | 'content' | 'room' | 'sender' | 'underride']?: readonly Rule[] }

/** Spec: data/api/client-server/definitions/push_rule.yaml. */
const PushRule = Type.Object({
  actions: Type.Array(Action),
  default: Type.Boolean(),
  enabled: Type.Boolean(),
  rule_id: Type.String(),
  conditions: Type.Optional(Type.Array(PushCondition)),
  pattern: Type.Optional(Type.String()),
})

/** Spec: data/api/client-server/definitions/push_ruleset.yaml. */
const PushRuleset = Type.Object({
  override: Type.Optional(Type.Array(PushRule)),
  content: Type.Optional(Type.Array(PushRule)),
  room: Type.Optional(Type.Array(PushRule)),
  sender: Type.Optional(Type.Array(PushRule)),
  underride: Type.Optional(Type.Array(PushRule)),
})

const rulePath = Type.Object({ kind: PushRuleKind, ruleId: Type.String() })
const RULE_URL = '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}'

/** All push rulesets; there is one, `global`. Spec: data/api/client-server/pushrules.yaml. */
export const getPushRules = endpoint({
  operationId: 'getPushRules',
  method: 'GET',
  url: '/_matrix/client/v3/pushrules/',
  aliases: ['/_matrix/client/v3/pushrules'],
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Unsafe<{ readonly global: Ruleset }>(Type.Object({ global: PushRuleset })),
  errors: {},
})

export const getPushRulesGlobal = endpoint({
  operationId: 'getPushRulesGlobal',
  method: 'GET',
  url: '/_matrix/client/v3/pushrules/global/',
  aliases: ['/_matrix/client/v3/pushrules/global'],
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Unsafe<Ruleset>(PushRuleset),
  errors: {},
})

export const getPushRule = endpoint({
  operationId: 'getPushRule',
  method: 'GET',
  url: RULE_URL,
  auth: 'accessToken',
  rateLimited: false,
  path: rulePath,
  query: Type.Object({}),
  body: null,
  reply: Type.Unsafe<Rule>(PushRule),
  errors: { M_NOT_FOUND: 404 },
})

export const deletePushRule = endpoint({
  operationId: 'deletePushRule',
  method: 'DELETE',
  url: RULE_URL,
  auth: 'accessToken',
  rateLimited: false,
  path: rulePath,
  query: Type.Object({}),
  body: null,
  reply: Type.Object({}),
  errors: { M_NOT_FOUND: 404 },
})

export const setPushRule = endpoint({
  operationId: 'setPushRule',
  method: 'PUT',
  url: RULE_URL,
  auth: 'accessToken',
  rateLimited: true,
  path: rulePath,
  query: Type.Object({ before: Type.Optional(Type.String()), after: Type.Optional(Type.String()) }),
  body: Type.Object({
    actions: Type.Array(Action),
    conditions: Type.Optional(Type.Array(PushCondition)),
    pattern: Type.Optional(Type.String()),
  }),
  reply: Type.Object({}),
  errors: { M_UNKNOWN: 400, M_NOT_FOUND: 404 },
})

export const isPushRuleEnabled = endpoint({
  operationId: 'isPushRuleEnabled',
  method: 'GET',
  url: `${RULE_URL}/enabled`,
  auth: 'accessToken',
  rateLimited: false,
  path: rulePath,
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ enabled: Type.Boolean() }),
  errors: { M_NOT_FOUND: 404 },
})

export const setPushRuleEnabled = endpoint({
  operationId: 'setPushRuleEnabled',
  method: 'PUT',
  url: `${RULE_URL}/enabled`,
  auth: 'accessToken',
  rateLimited: false,
  path: rulePath,
  query: Type.Object({}),
  body: Type.Object({ enabled: Type.Boolean() }),
  reply: Type.Object({}),
  errors: { M_NOT_FOUND: 404 },
})

export const getPushRuleActions = endpoint({
  operationId: 'getPushRuleActions',
  method: 'GET',
  url: `${RULE_URL}/actions`,
  auth: 'accessToken',
  rateLimited: false,
  path: rulePath,
  query: Type.Object({}),
  body: null,
  reply: Type.Unsafe<Pick<Rule, 'actions'>>(Type.Object({ actions: Type.Array(Action) })),
  errors: { M_NOT_FOUND: 404 },
})

export const setPushRuleActions = endpoint({
  operationId: 'setPushRuleActions',
  method: 'PUT',
  url: `${RULE_URL}/actions`,
  auth: 'accessToken',
  rateLimited: false,
  path: rulePath,
  query: Type.Object({}),
  body: Type.Object({ actions: Type.Array(Action) }),
  reply: Type.Object({}),
  errors: { M_NOT_FOUND: 404 },
})
