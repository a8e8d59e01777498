import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { removeOldFiles } from '../../main/launch/build-stale.mjs'
import serverBuild from '../../server/vite.config.ts'

describe('building the server anew', () => {
  it('keeps the files of a server that runs, and takes away those of a week ago', async () => {
    expect(serverBuild).toMatchObject({ build: { emptyOutDir: false } })
    const folder = await mkdtemp(join(tmpdir(), 'hearth-builds-'))
    for (const name of ['late-old.js', 'late-new.js']) await writeFile(join(folder, name), '')
    const longAgo = Date.now() / 1_000 - 8 * 24 * 3_600
    await utimes(join(folder, 'late-old.js'), longAgo, longAgo)
    removeOldFiles(folder)
    expect(await readdir(folder)).toEqual(['late-new.js'])
    await rm(folder, { recursive: true })
  })
})
