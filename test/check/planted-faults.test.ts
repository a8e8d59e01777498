import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { buildSmallHouse, type CheckName } from './small-house.ts'

const house = buildSmallHouse()
afterEach(() => house.clear())
afterAll(() => house.remove())

const component = (script: string, template: string): string =>
  `<script setup lang="ts">\n${script}\n</script>\n\n<template>\n  ${template}\n</template>\n`
const page = (script: string, template = '<h1>{{ props.title }}</h1>') => ({
  'renderer/app/HomePage.vue': component(
    `const props = defineProps<{ title: string }>()\n${script}`.trimEnd(),
    template,
  ),
})

/** Each check, what is planted, and what it must say of it. */
const faults: readonly [
  check: CheckName,
  fault: string,
  files: Record<string, string>,
  ...said: (string | RegExp)[],
][] = [
  ['format:check', 'a line that is not formatted', { 'server/index.ts': `export const a  = 1;\n` }, 'server/index.ts'],
  [
    'format:check',
    'a template that is not formatted',
    page('', '<h1   >{{ props.title }}</h1>'),
    'renderer/app/HomePage.vue',
  ],
  ['lint', '`any`', { 'server/index.ts': `export const greeting: any = 1\n` }, 'noExplicitAny'],
  ['lint', 'a built-in without `node:`', { 'server/index.ts': `import 'fs'\n` }, 'useNodejsImportProtocol'],
  [
    'lint',
    'a list without keys, raw HTML, an unused name and a promise that nobody awaits in a component',
    page(
      'const unused = 3\nasync function work(): Promise<void> {}\nwork()',
      '<p v-for="n in props.title" v-html="n"></p>',
    ),
    'vue/require-v-for-key',
    'vue/no-v-html',
    '@typescript-eslint/no-unused-vars',
    '@typescript-eslint/no-floating-promises',
  ],
  [
    'lint:promises',
    'a promise that nobody awaits',
    { 'server/index.ts': `async function work(): Promise<void> {}\nexport function greeting(): void {\n  work()\n}\n` },
    'no-floating-promises',
  ],
  [
    'lint:promises',
    'a promise taken for a boolean',
    {
      'server/index.ts': `async function is(): Promise<boolean> {\n  return true\n}\nexport const greeting = (): number => (is() ? 1 : 2)\n`,
    },
    'no-misused-promises',
  ],
  ['types', 'Node in `shared/`', { 'shared/matrix/greeting.ts': `export const greeting = process.pid\n` }, "'process'"],
  ['types', 'the DOM in the server', { 'server/index.ts': `export const greeting = document.title\n` }, "'document'"],
  [
    'types',
    'Node in the page, and a wrong name in its template',
    page('process.exit()', '<h1>{{ props.titel }}</h1>'),
    "'process'",
    "'titel'",
  ],
  ['types', 'Node in the preload script', { 'main/preload/index.ts': `console.log(process.pid)\n` }, "'process'"],
  [
    'arrows',
    'the page that reaches into the server',
    { 'renderer/app/main.ts': `import '../../server/index.ts'\n` },
    'renderer-goes-by-http',
  ],
  ['arrows', 'Electron in the server', { 'server/index.ts': `import 'electron'\n` }, 'server-is-headless'],
  [
    'arrows',
    'one slice that reaches into another, and one that uses those above it',
    {
      'server/sync/index.ts': `import '../rooms/store.ts'\n`,
      'server/rooms/store.ts': `export const rooms = 1\n`,
      'server/net/index.ts': `import '../sync/index.ts'\n`,
    },
    'slices-use-doors',
    'no-arrow-up-from-net',
  ],
  ['arrows', 'the disk in the pure core', { 'server/protocol/pdu.ts': `import 'node:fs'\n` }, 'protocol-does-no-io'],
  [
    'arrows',
    'a circle',
    { 'shared/matrix/a.ts': `import './b.ts'\n`, 'shared/matrix/b.ts': `import './a.ts'\n` },
    'no-cycles',
  ],
  ['dead', 'a file that nobody uses', { 'server/unused.ts': `export const unused = 1\n` }, 'server/unused.ts'],
  [
    'dead',
    'an export that nobody uses',
    { 'shared/matrix/greeting.ts': `export const greeting = 'hello'\nexport const farewell = 'bye'\n` },
    'farewell',
  ],
  ['dead', 'a package that is not asked for', { 'test/a.test.ts': `import 'koa'\n` }, /Unlisted dependencies.*\n.*koa/],
]

// A check reads all of its rooms, and the machine may be busy.
const TIMEOUT_MS = 180_000

describe.each([...new Set(faults.map(([check]) => check))])('npm run %s', { timeout: TIMEOUT_MS }, (check) => {
  it('has nothing to say where all is well', async () => {
    const { status, all } = await house.check(check)
    expect(status, all).toBe(0)
  })

  it.each(faults.filter(([its]) => its === check).map(([, ...fault]) => fault))(
    'fails on %s',
    async (_fault, files, ...said) => {
      house.plant(files)
      const { status, all } = await house.check(check)
      expect(status).not.toBe(0)
      for (const words of said) expect(all).toMatch(words)
    },
  )
})
