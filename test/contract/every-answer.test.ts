import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import { type Answer, faultsOfAnswer } from '../support/every-answer.ts'
import { startTestServer } from '../support/test-server.ts'
import { takeFaults } from '../support/watch-answers.ts'
import { watchedServers } from '../support/watched-servers.ts'

const headers = { 'content-type': 'application/json', 'access-control-allow-origin': '*' }
const faultsOf = (wish: Partial<Omit<Answer, 'headers'>> & { body?: unknown; headers?: Record<string, string> } = {}) =>
  faultsOfAnswer({
    method: 'GET',
    pathname: '/_matrix/client/v3/joined_rooms',
    search: new URLSearchParams(),
    status: 200,
    text: JSON.stringify(wish.body ?? { joined_rooms: [] }),
    ...wish,
    headers: new Headers({ ...headers, ...wish.headers }),
  })
const error = { errcode: 'M_FORBIDDEN', error: 'No' }
const terms = '/_hearth/client/v1/terms'

/** Each test looks at the answers that it gets in this way: test/support/watch-answers.ts. */
describe('client-server-api §API Standards, what every answer of a test’s servers is held against', () => {
  it('finds nothing wrong with what is as it should be', () => {
    expect(faultsOf()).toEqual([])
    expect(faultsOf({ status: 403, body: error })).toEqual([])
    expect(faultsOf({ status: 403, body: { ...error, errcode: 'COM.MYDOMAIN.HERE_FORBIDDEN' } })).toEqual([])
    expect(
      faultsOf({ status: 429, body: { ...error, errcode: 'M_LIMIT_EXCEEDED' }, headers: { 'retry-after': '1' } }),
    ).toEqual([])
    expect(faultsOf({ status: 401, body: { flows: [], session: 's' } })).toEqual([])
    expect(
      faultsOf({ pathname: '/oauth/token', method: 'POST', status: 400, body: { error: 'invalid_grant' } }),
    ).toEqual([])
    expect(faultsOf({ pathname: terms, body: { policies: {} } })).toEqual([])
  })

  it.each<[string, Parameters<typeof faultsOf>[0], RegExp]>([
    ['JSON under another type', { headers: { 'content-type': 'application/json; charset=utf-8' } }, /type of its JSON/],
    [
      'an answer that is no JSON where some is declared',
      { headers: { 'content-type': 'text/html' } },
      /type of its JSON/,
    ],
    ['no CORS headers', { headers: { 'access-control-allow-origin': '' } }, /CORS/],
    ['a body that is not as declared', { body: { joined_rooms: [5] } }, /declaration of getJoinedRooms/],
    ['a body without what is declared', { body: {} }, /'joined_rooms' is missing/],
    [
      'a key that our own declaration does not have',
      { pathname: terms, body: { policies: {}, more: 1 } },
      /'.more' is not/,
    ],
    ['an error without errcode', { status: 403, body: { error: 'No' } }, /errcode/],
    ['an error without a text', { status: 403, body: { errcode: 'M_FORBIDDEN' } }, /no `error`/],
    ['an error code in small letters', { status: 403, body: { ...error, errcode: 'm_forbidden' } }, /errcode/],
    ['an error code without a namespace', { status: 403, body: { ...error, errcode: 'FORBIDDEN' } }, /errcode/],
    ['a 429 that names no time', { status: 429, body: error }, /Retry-After/],
    ['a quota without info_uri', { status: 403, body: { ...error, errcode: 'M_USER_LIMIT_EXCEEDED' } }, /info_uri/],
    [
      'a full server without admin_contact',
      { status: 403, body: { ...error, errcode: 'M_RESOURCE_LIMIT_EXCEEDED' } },
      /admin_contact/,
    ],
    ['an OAuth error that does not say which', { pathname: '/oauth/token', status: 400, body: {} }, /no `error`/],
  ])('finds %s', (_what, wish, fault) => {
    expect(faultsOf(wish).join()).toMatch(fault)
  })

  it('is asked of every answer of a server that a test has started', async () => {
    await using server = await startTestServer()
    expect(watchedServers).toContain(server.baseUrl)
    await server.api().get('/_matrix/client/versions')
    expect(await takeFaults()).toEqual([])

    const wrong = createServer((_request, response) => response.end('{}')).listen(0, '127.0.0.1')
    await once(wrong, 'listening')
    const origin = `http://127.0.0.1:${(wrong.address() as AddressInfo).port}`
    watchedServers.add(origin)
    await createApi(origin).get('/_matrix/client/versions')
    expect(await takeFaults()).toEqual([
      'GET /_matrix/client/versions → 200: it has no CORS headers',
      'GET /_matrix/client/versions → 200: the type of its JSON is null',
    ])
    watchedServers.delete(origin)
    wrong.closeAllConnections()
    wrong.close()
  })
})
