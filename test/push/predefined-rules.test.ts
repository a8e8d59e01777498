import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { joinPushRules } from '../../server/protocol/default-push-rules.ts'
import type { PushRule } from '../../server/protocol/push-rules.ts'
import { requireSpec, specFolder } from '../support/spec.ts'

const ALICE = '@alice:hearth.test'

/** The definitions of a section, as the specification writes them. */
function definitionsIn(text: string): readonly PushRule[] {
  return [...text.matchAll(/```json\n([\s\S]*?)```/g)]
    .map(([, json]) => (json ?? '').replaceAll("[the user's Matrix ID]", ALICE))
    .map((json) => JSON.parse(json) as PushRule)
}

describe('client-server-api §Predefined Rules', () => {
  it('are word for word those of the specification, in its order', () => {
    requireSpec()
    const text = readFileSync(join(specFolder, 'content/client-server-api/modules/push.md'), 'utf8')
    const [, rest = ''] = text.split('##### Default Override Rules')
    const [override = '', underride = ''] = rest.split('##### Default Underride Rules')
    const [onlyUnderride = ''] = underride.split('#### Push Rules: API')
    const rules = joinPushRules({ userId: ALICE })
    expect(rules.override).toEqual(definitionsIn(override))
    expect(rules.underride).toEqual(definitionsIn(onlyUnderride))
    expect([rules.content, rules.room, rules.sender]).toEqual([[], [], []])
    expect(rules.override.length + rules.underride.length).toBeGreaterThan(12)
  })
})
