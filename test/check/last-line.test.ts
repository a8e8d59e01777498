import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { saidBy } from '../support/said-by.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const lastLineOf = (output: string): string | undefined => output.trimEnd().split('\n').at(-1)

describe('npm test', { timeout: 180_000 }, () => {
  const npmTest = (...filters: string[]) => saidBy(process.execPath, ['test/run.mjs', ...filters], { cwd: root })

  it('counts at its end what has passed and failed', async () => {
    const { status, stdout } = await npmTest('test/main/windows.test.ts')
    expect(lastLineOf(stdout)).toMatch(/^[1-9]\d* passed, 0 failed$/)
    expect(status).toBe(0)
  })

  it('fails where no test ran', async () => {
    const { status, stdout } = await npmTest('test/no-such-folder')
    expect(lastLineOf(stdout)).toBe('0 passed, 1 failed')
    expect(status).toBe(1)
  })
})

describe.runIf(process.platform === 'linux')('what CI runs', { timeout: 180_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-ci-'))
  const programs = join(folder, 'programs')
  mkdirSync(join(folder, '.ci'))
  mkdirSync(programs)
  cpSync(join(root, '.ci/run'), join(folder, '.ci/run'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** The script with an npm, and an installation of what the machine lacks, that end as they are told. */
  async function runCi(ends: { machine?: number; install?: number; check?: number; test?: number; says?: string }) {
    const { machine = 0, install = 0, check = 0, test = 0, says = '12 passed, 0 failed' } = ends
    const npm = `case "$*" in ci*) exit ${install};; "run check") exit ${check};; test) echo "${says}"; exit ${test};; esac`
    writeFileSync(join(programs, 'npm'), `#!/bin/sh\n${npm}\n`, { mode: 0o755 })
    writeFileSync(join(folder, '.ci/install'), `#!/bin/sh\nexit ${machine}\n`, { mode: 0o755 })
    const { status, stdout } = await saidBy(join(folder, '.ci/run'), [], {
      env: { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH}` },
    })
    return { status, last: lastLineOf(stdout) }
  }

  it('ends with the count of the tests', async () => {
    expect(await runCi({})).toEqual({ status: 0, last: '12 passed, 0 failed' })
  })

  it.each([
    ['a test', { test: 1, says: '11 passed, 1 failed' }, '11 passed, 1 failed'],
    ['a check', { check: 1 }, '12 passed, 1 failed'],
    ['a check and a test', { check: 1, test: 1, says: '11 passed, 1 failed' }, '11 passed, 2 failed'],
    ['what the machine lacks', { machine: 1 }, '0 passed, 1 failed'],
    ['the installation', { install: 1 }, '0 passed, 1 failed'],
    ['the runner, before its count', { test: 1, says: 'Segmentation fault' }, '0 passed, 1 failed'],
  ])('fails with %s', async (_what, ends, last) => {
    expect(await runCi(ends)).toEqual({ status: 1, last })
  })
})
