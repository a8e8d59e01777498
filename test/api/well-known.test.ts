import { describe, expect, it } from 'vitest'
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
    expect(faultsOfReply('getCapabilities', body)).toEqual([])
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
