/**
 * Users' push rules: account data of type `m.push_rules`, changed only through here.
 * Spec: client-server-api §Push Rules: API.
 */
import { tooLarge } from '../../shared/matrix/errors.ts'
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import {
  type CompiledPushRules,
  compilePushRules,
  type PushRule,
  type PushRuleKind,
  type PushRuleset,
} from '../protocol/push-rules.ts'
import type { Store } from '../store/index.ts'
import { withRoomFollowed } from './follow-room.ts'
import {
  getRule,
  type RuleRequest,
  readRuleset,
  withActions,
  withEnabled,
  withoutRule,
  withRule,
} from './ruleset-edit.ts'

/** Of a user's whole ruleset as JSON text. */
const MAX_RULESET_LENGTH = 262_144
/** How many users' rules are kept in memory. */
const MAX_IN_MEMORY = 2_000
const TYPE = 'm.push_rules'

export interface PushRules {
  /** All rules, the server-default ones among them. */
  rulesetOf(userId: string): Promise<PushRuleset>
  /** The same, ready to be asked; the same object until the rules change. */
  compiledFor(userId: string): CompiledPushRules | Promise<CompiledPushRules>
  /** @throws MatrixError 404 M_NOT_FOUND */
  get(userId: string, kind: PushRuleKind, ruleId: string): Promise<PushRule>
  /** @throws MatrixError 400, as the rule asks; 413 M_TOO_LARGE */
  put(userId: string, request: RuleRequest): Promise<void>
  /** @throws MatrixError 400 for a server-default rule, 404 M_NOT_FOUND */
  remove(userId: string, kind: PushRuleKind, ruleId: string): Promise<void>
  /** @throws MatrixError 404 M_NOT_FOUND */
  setEnabled(userId: string, kind: PushRuleKind, ruleId: string, enabled: boolean): Promise<void>
  /** @throws MatrixError 400 for unknown actions, 404 M_NOT_FOUND */
  setActions(userId: string, kind: PushRuleKind, ruleId: string, actions: readonly Json[]): Promise<void>
  /** Takes over what the user has set for a room to the one that replaced it. */
  followRoom(userId: string, from: string, to: string): Promise<void>
}

export function createPushRules(accounts: AccountsForReaders, store: Store): PushRules & Disposable {
  const compiled = new Map<string, CompiledPushRules>()
  let changes = 0
  const endSubscription = accounts.onAccountData(({ userId, type, roomId }) => {
    if (type !== TYPE || roomId !== null) return
    changes += 1
    compiled.delete(userId)
  })

  async function rulesetOf(userId: string): Promise<PushRuleset> {
    const entry = await accounts.findAccountData(userId, null, TYPE)
    return readRuleset(userId, entry?.content)
  }

  async function compile(userId: string): Promise<CompiledPushRules> {
    const changesBefore = changes
    const rules = compilePushRules(await rulesetOf(userId))
    if (changes !== changesBefore) return rules
    compiled.set(userId, rules)
    for (const oldest of compiled.keys()) {
      if (compiled.size <= MAX_IN_MEMORY) break
      compiled.delete(oldest)
    }
    return rules
  }

  async function change(userId: string, edit: (ruleset: PushRuleset) => PushRuleset): Promise<void> {
    await store.exclusive(`push-rules ${userId}`, async () => {
      const before = await rulesetOf(userId)
      const after = edit(before)
      if (after === before) return
      const content = { global: after } as unknown as JsonObject
      if (JSON.stringify(content).length > MAX_RULESET_LENGTH) throw tooLarge('The push rules are too large')
      await accounts.setAccountData({ userId, roomId: null, type: TYPE, content })
    })
  }

  return {
    rulesetOf,
    compiledFor: (userId) => compiled.get(userId) ?? compile(userId),
    async get(userId, kind, ruleId) {
      return getRule(await rulesetOf(userId), kind, ruleId)
    },
    put: (userId, request) => change(userId, (ruleset) => withRule(ruleset, request)),
    remove: (userId, kind, ruleId) => change(userId, (ruleset) => withoutRule(ruleset, kind, ruleId)),
    setEnabled: (userId, kind, ruleId, enabled) =>
      change(userId, (ruleset) => withEnabled(ruleset, kind, ruleId, enabled)),
    setActions: (userId, kind, ruleId, actions) =>
      change(userId, (ruleset) => withActions(ruleset, kind, ruleId, actions)),
    followRoom: (userId, from, to) => change(userId, (ruleset) => withRoomFollowed(ruleset, from, to)),
    [Symbol.dispose]: endSubscription,
  }
}
