import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Said, saidBy } from '../support/said-by.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What sets up the checks, as it is. */
const SETTINGS = [
  ...['.gitignore', 'biome.json', 'tsconfig.json', 'server/tsconfig.json', 'shared/tsconfig.json'],
  ...['main/tsconfig.json', 'main/preload/tsconfig.json', 'renderer/tsconfig.json'],
  ...['renderer/eslint.config.js', 'renderer/vite.config.ts'],
  ...['test/tsconfig.json', 'test/arrows.cjs', 'test/knip.json', 'test/oxlint.json'],
]

const CHECKS = ['format:check', 'lint', 'lint:promises', 'types', 'arrows', 'dead'] as const
export type CheckName = (typeof CHECKS)[number]

/** What the checks themselves run; of everything else the small house needs nothing. */
const TOOLS =
  /^(@biomejs\/biome|dependency-cruiser|eslint|eslint-plugin-vue|knip|oxlint|oxlint-tsgolint|typescript|typescript-eslint|vue|vue-tsc|vite|electron|@types\/node|@vitejs\/plugin-vue)$/

/** A door in each room, so that each check has something to look at and nothing to say. */
const ROOMS: Readonly<Record<string, string>> = {
  'shared/matrix/greeting.ts': `export const greeting = 'hello'\n`,
  'server/index.ts': `export { greeting } from '../shared/matrix/greeting.ts'\n`,
  'main/index.ts': `import { app } from 'electron'\nimport { greeting } from '../server/index.ts'\n\nconsole.log(app.name, greeting)\n`,
  'main/preload/index.ts': `console.log(document.title)\n`,
  'renderer/index.html': `<!doctype html>\n<script type="module" src="./app/main.ts"></script>\n`,
  'renderer/app/main.ts': `import { createApp } from 'vue'\nimport HomePage from './HomePage.vue'\n\ncreateApp(HomePage, { title: 'Hearth' }).mount('#app')\n`,
  'renderer/app/HomePage.vue': `<script setup lang="ts">\nconst props = defineProps<{ title: string }>()\n</script>\n\n<template>\n  <h1>{{ props.title }}</h1>\n</template>\n`,
  'test/greeting.test.ts': `import { greeting } from '../shared/matrix/greeting.ts'\n\nconsole.log(greeting)\n`,
}

export interface SmallHouse {
  /** Writes files, by their paths in the house. */
  plant(files: Readonly<Record<string, string>>): void
  /** Takes out again whatever was planted. */
  clear(): void
  /** Runs one of package.json's checks. */
  check(name: CheckName): Promise<Said>
  remove(): void
}

/**
 * A house of its own with our settings and scripts, our packages, and next to nothing in its rooms: faults planted there
 * are in nobody's way, and the checks have little to read.
 */
export function buildSmallHouse(): SmallHouse {
  const house = mkdtempSync(join(tmpdir(), 'hearth-small-house-'))
  const planted = new Map<string, string | undefined>()
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(house, path)), { recursive: true })
    writeFileSync(join(house, path), text)
  }

  for (const path of SETTINGS) cpSync(join(root, path), join(house, path), { recursive: true })
  for (const [path, text] of Object.entries(ROOMS)) write(path, text)
  write('package.json', manifest())
  symlinkSync(join(root, 'node_modules'), join(house, 'node_modules'))

  return {
    plant(files) {
      for (const [path, text] of Object.entries(files)) {
        planted.set(path, ROOMS[path])
        write(path, text)
      }
    },
    clear() {
      for (const [path, before] of planted) {
        if (before === undefined) rmSync(join(house, path))
        else write(path, before)
      }
      planted.clear()
    },
    check: (name) => saidBy('npm', ['run', '--silent', name], { cwd: house }),
    remove: () => rmSync(house, { recursive: true, force: true }),
  }
}

/** Our own, with the scripts of the checks, the one that names the page's build, and the packages that these run. */
function manifest(): string {
  const { type, engines, scripts, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const kept = Object.fromEntries([...CHECKS, 'build'].map((name) => [name, scripts[name]]))
  const tools = Object.fromEntries(Object.entries(devDependencies).filter(([name]) => TOOLS.test(name)))
  return `${JSON.stringify({ name: 'small-house', private: true, type, engines, scripts: kept, devDependencies: tools }, null, 2)}\n`
}
