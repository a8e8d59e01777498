import { describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { listOperations } from '../support/spec.ts'
import { faultsOfReply } from '../support/spec-schema.ts'
import { startTestServer } from '../support/test-server.ts'

describe('client-server-api §Well-known URIs', () => {
  it('names public_base_url, without a slash at its end', async () => {
    await using server = await startTestServer({ config: { public_base_url: 'https://matrix.hearth.test/' } })
    const { body, headers } = await server.api().get('/.well-known/matrix/client')
    expect(body).toEqual({ 'm.homeserver': { base_url: 'https://matrix.hearth.test' } })
    expect(headers.get('content-type')).toBe('application/json')
    expect(headers.get('access-control-allow-origin')).toBe('*')
  })

  it('names the first client listener where there is no public_base_url', async () => {
    await using server = await startTestServer()
    const { body } = await server.api().get('/.well-known/matrix/client')
    expect(body).toEqual({ 'm.homeserver': { base_url: server.baseUrl } })
  })

  it('publishes contacts only where the owner gave some', async () => {
    await using silent = await startTestServer()
    const { status, body: error } = await silent.api().get('/.well-known/matrix/support')
    expect([status, error.errcode]).toEqual([404, 'M_NOT_FOUND'])
    const support = { contacts: [{ role: 'm.role.admin', matrix_id: '@owner:hearth.test' }] }
    await using server = await startTestServer({ config: { support } })
    const { body } = await server.api().get('/.well-known/matrix/support')
    expect(body).toEqual(support)
    expect(faultsOfReply('getWellknownSupport', body)).toEqual([])
  })
})

describe('client-server-api §GET /.well-known/matrix/support', () => {
  it.each([{}, { contacts: [] }, { contacts: [{ role: 'm.role.admin' }] }])(
    'never publishes contacts that nobody can use: %j',
    async (support) => {
      await expect(startTestServer({ config: { support } })).rejects.toThrow(/support/)
    },
  )

  it('publishes a page alone, too', async () => {
    await using server = await startTestServer({ config: { support: { support_page: 'https://hearth.test/help' } } })
    const { body } = await server.api().get('/.well-known/matrix/support')
    expect(body).toEqual({ support_page: 'https://hearth.test/help' })
  })
})

describe('client-server-api §GET /.well-known/matrix/policy_server', () => {
  it('says that there is no policy server of this name', async () => {
    await using server = await startTestServer()
    expect(await server.api().get('/.well-known/matrix/policy_server')).toMatchObject({
      status: 404,
      body: { errcode: 'M_NOT_FOUND' },
    })
  })
})

describe('server-server-api §Resolving server names, .well-known/matrix/server', () => {
  it('names the host and port behind a public https address', async () => {
    await using server = await startTestServer({ config: { public_base_url: 'https://matrix.hearth.test' } })
    const { body } = await server.api().get('/.well-known/matrix/server')
    expect(body).toEqual({ 'm.server': 'matrix.hearth.test:443' })
  })

  it('is not there where the server name alone leads here', async () => {
    await using server = await startTestServer()
    const { status, body } = await server.api().get('/.well-known/matrix/server')
    expect([status, body.errcode]).toEqual([404, 'M_NOT_FOUND'])
  })
})

describe('client-server-api §Capabilities negotiation', () => {
  it('reports the room versions, and the default of the configuration', async () => {
    await using server = await startTestServer({ config: { rooms: { default_version: '10' } } })
    const alice = await server.register('alice')
    const { body } = await alice.api.get<{ capabilities: Record<string, unknown> }>('/_matrix/client/v3/capabilities')
    expect(body.capabilities['m.room_versions']).toEqual({
      default: '10',
      available: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [String(i + 1), 'stable'])),
    })
    expect(body.capabilities['m.3pid_changes']).toEqual({ enabled: false })
    expect(body.capabilities['m.get_login_token']).toEqual({ enabled: true })
    expect(body.capabilities['m.forget_forced_upon_leave']).toEqual({ enabled: false })
    expect(faultsOfReply('getCapabilities', body)).toEqual([])
  })

  it('names no capability that the specification does not know, unless /versions names its unstable feature', async () => {
    await using server = await startTestServer()
    const root = await registerAdmin(server, 'root')
    const { body } = await root.api.get<{ capabilities: object }>('/_matrix/client/v3/capabilities')
    const versions = await root.api.get<{ unstable_features: object }>('/_matrix/client/versions')
    const features = Object.keys(versions.body.unstable_features)
    const { reply } = listOperations('client-server').find(({ operationId }) => operationId === 'getCapabilities') ?? {}
    const specified = Object.keys(reply?.properties?.capabilities?.properties ?? {})
    expect(specified).toContain('m.account_moderation')
    const others = Object.keys(body.capabilities).filter((name) => !specified.includes(name))
    expect(others.filter((name) => !features.some((feature) => name.startsWith(`${feature}.`)))).toEqual([])
  })

  it('says that profiles can be changed where they can, name and picture by their old capabilities too', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { body } = await alice.api.get('/_matrix/client/v3/capabilities')
    expect(body).toMatchObject({
      capabilities: {
        'm.profile_fields': { enabled: true },
        'm.set_displayname': { enabled: true },
        'm.set_avatar_url': { enabled: true },
      },
    })
    for (const [key, value] of Object.entries({ displayname: 'Alice', avatar_url: 'mxc://hearth.test/a' })) {
      const path = `/_matrix/client/v3/profile/${encodeURIComponent(alice.userId)}/${key}`
      expect(await alice.api.put(path, { [key]: value })).toMatchObject({ status: 200 })
    }
  })

  it('reports room version 12 where the configuration names none', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { body } = await alice.api.get<{ capabilities: { 'm.room_versions': { default: string } } }>(
      '/_matrix/client/v3/capabilities',
    )
    expect(body.capabilities['m.room_versions'].default).toBe('12')
  })
})
