import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { beginMark, isFresh } from '../../main/launch/freshness.mjs'
import { root } from './running-program.ts'

let folder: string
let build: { out: string; from: string[] }
const source = (name: string): string => join(folder, 'src', name)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-built-'))
  for (const name of ['src/rooms', 'out']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(source('rooms/join.ts'), 'export const join = 1')
  writeFileSync(source('README.md'), '# Sources')
  // Both are told by their way from the top folder.
  build = { out: relative(root, join(folder, 'out')), from: [relative(root, join(folder, 'src'))] }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('what was built is used', () => {
  it('not before it was built, and from then on', () => {
    expect(isFresh(build)).toBe(false)
    beginMark(build)()
    expect(isFresh(build)).toBe(true)
  })

  it.each([
    ['a source has changed', () => writeFileSync(source('rooms/join.ts'), 'export const join = 2')],
    ['there is a new source', () => writeFileSync(source('rooms/leave.ts'), '')],
    ['a source is gone', () => rmSync(source('rooms/join.ts'))],
  ])('no more when %s', (_what, change) => {
    beginMark(build)()
    change()
    expect(isFresh(build)).toBe(false)
  })

  it('not when a source changed while it was built', () => {
    const writeMark = beginMark(build)
    writeFileSync(source('rooms/join.ts'), 'export const join = 2')
    writeMark()
    expect(isFresh(build)).toBe(false)
  })

  it.each([
    ['sources have other times, as in another checkout', () => utimesSync(source('rooms/join.ts'), 1, 1)],
    ['what is written about them has changed', () => writeFileSync(source('README.md'), '# All sources')],
  ])('still when %s', (_what, change) => {
    beginMark(build)()
    change()
    expect(isFresh(build)).toBe(true)
  })
})
