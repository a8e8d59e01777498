import {
  deletePushRule,
  getPushRule,
  getPushRuleActions,
  getPushRules,
  getPushRulesGlobal,
  isPushRuleEnabled,
  setPushRule,
  setPushRuleActions,
  setPushRuleEnabled,
} from '../../../shared/api/client/pushrules.ts'
import { type Route, route } from '../../http/route.ts'
import type { PushRules } from '../../push/index.ts'

export const pushRulesRoutes = (rules: PushRules): readonly Route[] => [
  route(getPushRules, async ({ requester }) => ({ global: await rules.rulesetOf(requester.userId) })),
  route(getPushRulesGlobal, async ({ requester }) => rules.rulesetOf(requester.userId)),
  route(getPushRule, async ({ path, requester }) => rules.get(requester.userId, path.kind, path.ruleId)),
  route(setPushRule, async ({ path, query, body, requester }) => {
    await rules.put(requester.userId, { ...path, ...query, ...body })
    return {}
  }),
  route(deletePushRule, async ({ path, requester }) => {
    await rules.remove(requester.userId, path.kind, path.ruleId)
    return {}
  }),
  route(isPushRuleEnabled, async ({ path, requester }) => {
    const { enabled } = await rules.get(requester.userId, path.kind, path.ruleId)
    return { enabled }
  }),
  route(setPushRuleEnabled, async ({ path, body, requester }) => {
    await rules.setEnabled(requester.userId, path.kind, path.ruleId, body.enabled)
    return {}
  }),
  route(getPushRuleActions, async ({ path, requester }) => {
    const { actions } = await rules.get(requester.userId, path.kind, path.ruleId)
    return { actions }
  }),
  route(setPushRuleActions, async ({ path, body, requester }) => {
    await rules.setActions(requester.userId, path.kind, path.ruleId, body.actions)
    return {}
  }),
]
