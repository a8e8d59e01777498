import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { extractAll, listPackage } from '@electron/asar'
import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses'
import { type Configuration, Packager } from 'electron-builder'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { prepareHomeFolder } from '../../main/homeserver/home-folder.ts'
import { readyAddress } from '../../main/homeserver/start-home.ts'
import { createApi } from '../support/api.ts'
import { saidBy } from '../support/said-by.ts'
import { findFreePort, killWhatRuns, root, run } from './running-program.ts'

const text = readFileSync(new URL('../../electron-builder.yml', import.meta.url), 'utf8')
const packageJson = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** As electron-builder's command does before it packs anything. @param config the file's name, or what is to be put over the file */
const validate = (config: string | Configuration): Promise<void> =>
  new Packager({ projectDir: root, config }).validateConfig()

describe('electron-builder.yml', () => {
  it("passes electron-builder's own schema, and package.json what it asks of it", async () => {
    await expect(validate('electron-builder.yml')).resolves.toBeUndefined()
  })

  it.each([
    ['an unknown key', { unknownKey: true }],
    ['an unknown fuse', { electronFuses: { runAsNod: false } }],
    ['a target of the wrong kind', { linux: { target: { name: 5 } } }],
  ])('would not pass with %s', async (_what, fault) => {
    await expect(validate(fault as Configuration)).rejects.toThrow('Invalid configuration object')
  })

  it('ships the main process that package.json names, and keeps Electron out of what runs', () => {
    expect(parse(text).files).toEqual(expect.arrayContaining(['main/dist/**', 'server/dist/**', 'renderer/dist/**']))
    expect(packageJson.main).toBe('main/dist/index.js')
    expect(packageJson.devDependencies.electron).toBeDefined()
    expect(packageJson.dependencies.electron).toBeUndefined()
  })
})

/**
 * Electron's program cannot be had on test machines. electron-builder copies whatever lies in its place and turns its fuses in
 * the bytes behind this mark: format 1, nine fuses, all off.
 */
const STUB_PROGRAM = Buffer.concat([
  Buffer.from('#!/bin/sh\nexit 0\ndL7pKGdnNz796PbbjQWNKmHXBZaB9tsX'),
  Buffer.from([1, 9]),
  Buffer.from('0'.repeat(9)),
])
const OFF = 0x30
const ON = 0x31
const MIB = 1024 * 1024

describe.runIf(process.platform === 'linux')('the packed app', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-packed-'))
  const resources = join(folder, 'out/linux-unpacked/resources')
  const packed = join(folder, 'app')
  let files: readonly string[]

  beforeAll(async () => {
    await saidBy(process.execPath, ['main/launch/prepare.mjs'], { cwd: root })
    const electron = join(folder, 'electron')
    for (const name of ['locales', 'resources']) mkdirSync(join(electron, name), { recursive: true })
    writeFileSync(join(electron, 'electron'), STUB_PROGRAM, { mode: 0o755 })
    writeFileSync(join(electron, 'version'), packageJson.devDependencies.electron.replace('^', ''))
    const builder = await saidBy(
      process.execPath,
      [
        join(root, 'node_modules/electron-builder/cli.js'),
        ...['--linux', 'dir', '--publish', 'never'],
        ...[`-c.electronDist=${electron}`, `-c.directories.output=${join(folder, 'out')}`],
      ],
      { cwd: root },
    )
    if (builder.status !== 0) throw new Error(builder.all)
    files = listPackage(join(resources, 'app.asar'), { isPack: false }).map((path) => path.slice(1))
    extractAll(join(resources, 'app.asar'), packed)
  }, 300_000)
  afterAll(async () => {
    await killWhatRuns()
    rmSync(folder, { recursive: true, force: true })
  })

  it('holds the built rooms and what they name', () => {
    const named = ['package.json', packageJson.main, 'main/dist/preload.cjs', 'main/dist/homeserver.js']
    const icons = ['main/assets/tray.png', 'main/assets/tray@2x.png', 'renderer/dist/icon-512.png']
    expect(files).toEqual(
      expect.arrayContaining([...named, ...icons, 'server/dist/cli.js', 'renderer/dist/index.html']),
    )
    expect(files.some((path) => /^renderer\/dist\/assets\/.*\.wasm$/.test(path))).toBe(true)
  })

  it('holds no sources, no tests, no maps, and of the packages only the native one with what it loads', () => {
    expect(files.filter((path) => /\.([cm]?tsx?|vue|map)$/.test(path))).toEqual([])
    const top = new Set(files.map((path) => path.split('/')[0]))
    expect([...top].sort()).toEqual(['LICENSE', 'main', 'node_modules', 'package.json', 'renderer', 'server'])
    const inRooms = files.filter((path) => /^(main|server|renderer)\/./.test(path))
    expect(inRooms.filter((path) => !/^(main|server|renderer)\/dist(\/|$)|^main\/assets(\/tray|$)/.test(path))).toEqual(
      [],
    )
    const packages = files
      .filter((path) => /^node_modules\/(@[^/]+\/)?[^@/]+$/.test(path))
      .map((path) => path.slice(13))
    expect(packages.filter((name) => !name.startsWith('@img/')).sort()).toEqual(['detect-libc', 'semver', 'sharp'])
    const manifest = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8'))
    expect(manifest).not.toHaveProperty('devDependencies')
  })

  it('keeps native code outside of the archive, and all of it small', () => {
    const native = files.filter((path) => /\.node$|\.so[.\d]*$/.test(path))
    expect(native.length).toBeGreaterThan(1)
    for (const path of native) expect(existsSync(join(resources, 'app.asar.unpacked', path))).toBe(true)
    expect(statSync(join(resources, 'app.asar')).size).toBeLessThan(20 * MIB)
  })

  it('carries its own license, and that of every package that is built or packed into it', () => {
    for (const name of ['main', 'server', 'renderer']) expect(files).toContain(`${name}/dist/licenses.md`)
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'node_modules/sharp/LICENSE']))
    const [libvips] = readdirSync(join(resources, 'licenses')).filter((name) => name.startsWith('sharp-libvips-'))
    expect(readFileSync(join(resources, 'licenses', libvips as string, 'README.md'), 'utf8')).toContain('LGPLv3')
  })

  it('turns off what would let others run code in it', async () => {
    const fuses = await getCurrentFuseWire(join(resources, '../hearth'))
    expect({
      runAsNode: fuses[FuseV1Options.RunAsNode],
      nodeOptions: fuses[FuseV1Options.EnableNodeOptionsEnvironmentVariable],
      inspect: fuses[FuseV1Options.EnableNodeCliInspectArguments],
      fileProtocol: fuses[FuseV1Options.GrantFileProtocolExtraPrivileges],
      onlyFromAsar: fuses[FuseV1Options.OnlyLoadAppFromAsar],
      asarIntegrity: fuses[FuseV1Options.EnableEmbeddedAsarIntegrityValidation],
      cookieEncryption: fuses[FuseV1Options.EnableCookieEncryption],
    }).toEqual({
      ...{ runAsNode: OFF, nodeOptions: OFF, inspect: OFF, fileProtocol: OFF },
      ...{ onlyFromAsar: ON, asarIntegrity: ON, cookieEncryption: ON },
    })
  })

  it('has a server that runs from there: API, page, pictures; and stops when the app says so', async () => {
    const config = await prepareHomeFolder(join(folder, 'home'), { port: await findFreePort() })
    // What Electron gives its utility processes; a signal stands for the app's message.
    const parentPort = `import { EventEmitter } from 'node:events'
      process.parentPort = new EventEmitter()
      process.on('SIGUSR2', () => process.parentPort.emit('message', { data: 'stop' }))`
    const entry = join(packed, 'main/dist/homeserver.js')
    const preload = `data:text/javascript,${encodeURIComponent(parentPort)}`
    await using server = run(process.execPath, ['--import', preload, entry, '--config', config])
    const url = readyAddress(await server.until(/^(\{"event":"ready".*)\n/m)) as string

    expect((await fetch(`${url}/_matrix/client/versions`)).status).toBe(200)
    const page = await fetch(url)
    expect(page.status).toBe(200)
    expect(await page.text()).toBe(readFileSync(join(root, 'renderer/dist/index.html'), 'utf8'))
    const { status, body } = await createApi(url).post<{ access_token: string }>('/_matrix/client/v3/register', {
      ...{ username: 'alice', password: 'a long password', auth: { type: 'm.login.dummy' } },
    })
    expect(status, server.output).toBe(200)
    const alice = createApi(url, body.access_token)
    const picture = readFileSync(join(root, 'renderer/public/icon-192.png'))
    const upload = await alice.fetch('/_matrix/media/v3/upload', {
      ...{ method: 'POST', body: picture, headers: { 'content-type': 'image/png' } },
    })
    const { content_uri } = (await upload.json()) as { content_uri: string }
    const thumbnail = await alice.fetch(
      `/_matrix/client/v1/media/thumbnail/${content_uri.slice('mxc://'.length)}?width=32&height=32`,
    )
    expect(thumbnail.status, server.output).toBe(200)
    expect((await thumbnail.arrayBuffer()).byteLength).toBeLessThan(picture.byteLength)

    process.kill(server.pid, 'SIGUSR2')
    expect(await server.exited).toBe(0)
  })
})
