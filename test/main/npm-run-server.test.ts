import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { root } from './running-program.ts'

const READY = '{"event":"ready"}\n'

/** The system's own Node, where it is older than the one that the server needs. */
const olderNode = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'node'))
  .filter((path) => existsSync(path) && !path.includes('node_modules'))
  .find((path) => /^v2[0-3]\./.test(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout))

let copy: string
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'hearth-copy-'))
  cpSync(join(root, 'main/launch'), join(copy, 'main/launch'), { recursive: true })
  for (const folder of ['server', 'shared', 'programs']) mkdirSync(join(copy, folder))
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(copy, 'package-lock.json'), '{ "packages": {} }')
  writeFileSync(
    join(copy, 'server/cli.ts'),
    `const answer: string = ${JSON.stringify(READY)}\nprocess.stdout.write(answer)\nprocess.exitCode = process.argv.length - 2\n`,
  )
  // Stands for the installation: says something, and brings the project's own Node.
  symlinkSync(process.execPath, join(copy, 'programs/new-node'))
  writeFileSync(
    join(copy, 'programs/npm'),
    `#!/bin/sh\necho "$@" >> installs\necho added a package\nmkdir -p node_modules/node/bin && cp -P programs/new-node node_modules/node/bin/node\n`,
    { mode: 0o755 },
  )
})
afterEach(() => rmSync(copy, { recursive: true, force: true }))

function npmRunServer(node: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(node, [join(copy, 'main/launch/server.mjs'), ...args], {
    cwd: copy,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(copy, 'programs')}${delimiter}${process.env.PATH}` },
  })
  return { status, stdout, stderr }
}
const installs = (): string => readFileSync(join(copy, 'installs'), 'utf8')

describe.runIf(process.platform === 'linux')('npm run server', () => {
  it('installs what a fresh copy lacks, once, and keeps its stdout for the `ready` line', () => {
    expect(npmRunServer(process.execPath)).toMatchObject({ status: 0, stdout: READY })
    expect(npmRunServer(process.execPath).stdout).toBe(READY)
    expect(installs()).toMatch(/^ci .*\n$/)
  })

  it('leaves packages alone that were installed without those for development', () => {
    mkdirSync(join(copy, 'node_modules'))
    expect(npmRunServer(process.execPath).stdout).toBe(READY)
    expect(existsSync(join(copy, 'installs'))).toBe(false)
  })

  it.runIf(olderNode)(
    'goes on with the project’s own Node where the system’s is older, and ends with its status',
    () => {
      expect(npmRunServer(olderNode as string, '--config', 'hearth.json')).toMatchObject({ status: 2, stdout: READY })
    },
  )

  it.runIf(olderNode)('says so where there is only the system’s, and that is older', () => {
    mkdirSync(join(copy, 'node_modules'))
    const { status, stderr } = npmRunServer(olderNode as string)
    expect(status).toBe(1)
    expect(stderr).toMatch(/^hearth: Node 24 or later is needed; this is v2\d\./)
  })
})
