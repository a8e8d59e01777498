import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError, readConfig } from '../../server/index.ts'
import { Rig, ServerProcess } from './server-process.ts'

let rig: Rig
beforeEach(async () => {
  rig = await Rig.make()
})
afterEach(() => rig[Symbol.asyncDispose]())

const minimal = {
  server_name: 'alpha.test',
  data_dir: 'data',
  listeners: [{ address: '127.0.0.1', port: 8008 }],
}
const without = (key: string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(minimal).filter(([name]) => name !== key))
const listener = (keys: object): object => ({ ...minimal, listeners: [{ ...minimal.listeners[0], ...keys }] })

describe('interop/server-process §Configuration', () => {
  it('takes every key that the contract names', () => {
    const config = readConfig(
      {
        ...minimal,
        public_base_url: 'https://alpha.test/',
        listeners: [
          { address: '127.0.0.11', port: 8008, serves: ['client'] },
          { address: '::1', port: 0, serves: ['federation'], tls: { certificate: 'a.crt', private_key: '/k/a.key' } },
        ],
        outbound: { trusted_ca_file: 'ca.crt', allow_addresses: ['127.0.0.0/8', 'fd00::/8'] },
        registration: { open: true, shared_secret: 'for tests only' },
        rate_limits: { enabled: false },
        rooms: { default_version: '10' },
        url_previews: { enabled: true },
        application_services_dir: 'services',
        mail: { smtp_url: 'smtps://user:pass@mail.test:465', from: 'Hearth <hearth@alpha.test>' },
        log: { level: 'debug' },
      },
      '/etc/hearth',
    )
    expect(config).toMatchObject({
      data_dir: '/etc/hearth/data',
      public_base_url: 'https://alpha.test',
      listeners: [
        { serves: ['client'], tls: null },
        { serves: ['federation'], tls: { certificate: '/etc/hearth/a.crt', private_key: '/k/a.key' } },
      ],
      outbound: { trusted_ca_file: '/etc/hearth/ca.crt' },
      application_services_dir: '/etc/hearth/services',
      rooms: { default_version: '10' },
    })
  })

  it('has the contract’s defaults', () => {
    expect(readConfig(minimal, '/x')).toMatchObject({
      public_base_url: null,
      listeners: [{ serves: ['client', 'federation'], tls: null }],
      outbound: { trusted_ca_file: null, allow_addresses: [] },
      registration: { open: false, shared_secret: null },
      rate_limits: { enabled: true },
      rooms: { default_version: '12' },
      url_previews: { enabled: false },
      application_services_dir: null,
      mail: null,
      log: { level: 'info' },
      metrics: null,
    })
  })

  it.each([
    ['server_name', without('server_name')],
    ['data_dir', without('data_dir')],
    ['listeners', without('listeners')],
    ['listeners', { ...minimal, listeners: [] }],
    ['listeners.0.port', { ...minimal, listeners: [{ address: '127.0.0.1' }] }],
    ['listeners.0.port', listener({ port: 65_536 })],
    ['listeners.0.port', listener({ port: '8008' })],
    ['listeners.0.address', listener({ address: 'localhost' })],
    ['listeners.0.serves', listener({ serves: ['identity'] })],
    ['listeners.0.tls.private_key', listener({ tls: { certificate: 'a' } })],
    ['listeners.0.colour', listener({ colour: 'red' })],
    ['server_name', { ...minimal, server_name: 'not a name' }],
    ['server_name', { ...minimal, server_name: 5 }],
    ['data_dir', { ...minimal, data_dir: '' }],
    ['public_base_url', { ...minimal, public_base_url: 'alpha.test' }],
    ['outbound.allow_addresses', { ...minimal, outbound: { allow_addresses: ['10.0.0.0'] } }],
    ['outbound.proxy', { ...minimal, outbound: { proxy: 'x' } }],
    ['registration.open', { ...minimal, registration: { open: 'yes' } }],
    ['rate_limits.enabled', { ...minimal, rate_limits: { enabled: 0 } }],
    ['rooms.default_version', { ...minimal, rooms: { default_version: '13' } }],
    ['mail.from', { ...minimal, mail: { smtp_url: 'smtp://mail.test' } }],
    ['mail.smtp_url', { ...minimal, mail: { smtp_url: 'http://mail.test', from: 'a@b' } }],
    ['log.level', { ...minimal, log: { level: 'loud' } }],
    ['unknown_key', { ...minimal, unknown_key: 1 }],
    ['__proto__', JSON.parse('{"__proto__": 1}')],
  ])('refuses what is wrong with %s by its name', (key, value) => {
    const read = (): unknown =>
      readConfig(
        key === '__proto__' ? Object.assign(Object.create(null), minimal, JSON.parse('{}'), { extra: 1 }) : value,
        '/x',
      )
    expect(read).toThrow(ConfigError)
    if (key !== '__proto__') expect(read).toThrow(key)
  })

  it.each([
    ['a key', { ...minimal, unknown_key: 1 }, 'unknown_key is unknown'],
    ['a key within another', { ...minimal, outbound: { proxy: 'x' } }, 'outbound.proxy is unknown'],
  ])('says of %s that it does not know it', (_what, value, message) => {
    expect(() => readConfig(value, '/x')).toThrow(message)
  })

  it.each([
    ['an unknown key', { colour: 'red' }, 'colour'],
    ['a missing key', { server_name: undefined }, 'server_name'],
    ['a value of the wrong kind', { registration: { open: 'yes' } }, 'registration.open'],
  ])('stops the start with status 2 and one line on stderr for %s', async (_what, keys, name) => {
    const server = rig.start(await rig.configure(keys))
    expect((await server.exited).code).toBe(2)
    expect(server.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(server.stderr).toContain(name)
    expect(server.stdout).toBe('')
    await expect(stat(rig.dataDir)).rejects.toThrow('ENOENT')
  })

  it.each([
    ['is not there', undefined],
    ['is no JSON', '{"server_name":'],
    ['is no UTF-8', Buffer.from([0xff, 0xfe])],
    ['is a list', '[]'],
  ])('stops the start with status 2 where the file %s', async (_what, content) => {
    const path = join(rig.folder, 'other.json')
    if (content !== undefined) await writeFile(path, content)
    const server = rig.start(path)
    expect((await server.exited).code).toBe(2)
    expect(server.stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it('stops with status 2 without a configuration', async () => {
    const server = new ServerProcess([])
    expect((await server.exited).code).toBe(2)
    expect(server.stderr).toContain('--config')
  })
})

describe('interop/server-process §Configuration, files it names', () => {
  const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

  it('reads the authorities of outbound.trusted_ca_file, relative to its own folder', async () => {
    await copyFile(fixture('ca.crt'), join(rig.folder, 'ca.crt'))
    const server = rig.start(await rig.configure({ outbound: { trusted_ca_file: 'ca.crt' } }))
    expect(await server.ready()).toHaveLength(1)
  })

  it('does not start with a trusted_ca_file that holds no certificate', async () => {
    await writeFile(join(rig.folder, 'ca.crt'), 'nothing')
    const server = rig.start(await rig.configure({ outbound: { trusted_ca_file: 'ca.crt' } }))
    expect((await server.exited).code).toBe(1)
    expect(server.stderr).toContain('outbound.trusted_ca_file')
  })

  const registration = (keys: string): string => `id: irc
url: http://127.0.0.1:9
as_token: as-secret
hs_token: hs-secret
sender_localpart: _irc_bot
namespaces: { users: [{ exclusive: true, regex: "@_irc_.*" }] }
a_key_of_some_bridge: { that: we do not know }
${keys}`

  it('reads registration files of application services, unknown keys and all', async () => {
    await mkdir(join(rig.folder, 'services'))
    await writeFile(join(rig.folder, 'services', 'irc.yaml'), registration(''))
    await writeFile(join(rig.folder, 'services', 'notes.txt'), 'not read')
    const server = rig.start(await rig.configure({ application_services_dir: 'services' }))
    expect(await server.ready()).toHaveLength(1)
  })

  it.each([
    ['a missing key', { 'irc.yaml': 'id: irc' }, 'url'],
    ['a wrong kind', { 'irc.yaml': registration('rate_limited: perhaps') }, 'rate_limited'],
    ['a broken pattern', { 'irc.yaml': registration('').replace('@_irc_.*', '(') }, 'regex'],
    ['no YAML', { 'irc.yaml': '{{' }, 'irc.yaml'],
    [
      'a token of another file',
      { 'a.yaml': registration(''), 'b.yaml': registration('').replace('id: irc', 'id: b') },
      'as_token',
    ],
  ])('does not start with a registration that has %s, and tells no secret', async (_what, files, name) => {
    await mkdir(join(rig.folder, 'services'))
    for (const [file, text] of Object.entries(files)) await writeFile(join(rig.folder, 'services', file), text)
    const server = rig.start(await rig.configure({ application_services_dir: 'services' }))
    expect((await server.exited).code).toBe(1)
    expect(server.stderr).toContain(name)
    expect(server.stderr).not.toContain('secret')
  })
})
