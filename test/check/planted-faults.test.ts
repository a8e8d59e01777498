import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Not in git; each check is then asked about these folders only.
const folders = { renderer: join(root, 'renderer/planted-faults'), server: join(root, 'server/planted-faults') }

const run = (tool: string, ...args: string[]): string => {
  const { stdout, stderr } = spawnSync(join(root, 'node_modules/.bin', tool), args, { cwd: root, encoding: 'utf8' })
  return stdout + stderr
}

beforeAll(() => {
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true })
  writeFileSync(
    join(folders.renderer, 'PlantedFault.vue'),
    `<script setup lang="ts">
const props = defineProps<{ names: string[]; html: string }>()
const unused = 3
async function work(): Promise<void> {}
work()
</script>

<template>
  <ul>
    <li v-for="name in props.names">{{ name }}</li>
  </ul>
  <p v-html="html"></p>
</template>
`,
  )
  writeFileSync(
    join(folders.renderer, 'arrow.ts'),
    `import { loadConfig } from '../../server/index.ts'\nexport const load = loadConfig\n`,
  )
  writeFileSync(
    join(folders.server, 'promise.ts'),
    `export async function work(): Promise<void> {}\nexport function go(): void {\n  work()\n}\n`,
  )
  writeFileSync(
    join(folders.server, 'arrow.ts'),
    `import { app } from 'electron'\nimport { roomRows } from '../rooms/store.ts'\nexport const both = [app, roomRows]\n`,
  )
})
afterAll(() => {
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true })
})

describe('npm run lint', () => {
  it('sees in a component a missing key, raw HTML, an unused name and an un-awaited promise, and nothing wrong in its props', () => {
    const found = run('eslint', '-c', 'renderer/eslint.config.js', 'renderer/planted-faults', '--format', 'json')
    const rules = (JSON.parse(found) as { messages: { ruleId: string }[] }[]).flatMap(({ messages }) =>
      messages.map(({ ruleId }) => ruleId),
    )
    expect(rules.sort()).toEqual([
      '@typescript-eslint/no-floating-promises',
      '@typescript-eslint/no-unused-vars',
      'vue/no-v-html',
      'vue/require-v-for-key',
    ])
  })
})

describe('npm run lint:promises', () => {
  it('sees an un-awaited promise', () => {
    expect(
      run('oxlint', '--type-aware', '-c', 'test/oxlint.json', '--no-ignore', 'server/planted-faults/promise.ts'),
    ).toContain('no-floating-promises')
  })
})

describe('npm run arrows', () => {
  it('sees the page reach into the server, the server into Electron, and one slice into another', () => {
    const found = run('depcruise', '--config', 'test/arrows.cjs', 'renderer/planted-faults', 'server/planted-faults')
    expect(found).toContain('renderer-goes-by-http')
    expect(found).toContain('server-is-headless')
    expect(found).toContain('slices-use-doors')
  })
})
