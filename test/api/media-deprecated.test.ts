import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let alice: Person
let media: string
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  const reply = await alice.api.fetch('/_matrix/media/v3/upload', { method: 'POST', body: 'text' })
  media = ((await reply.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
})
afterAll(() => server[Symbol.asyncDispose]())

describe('client-server-api §Content repository, the deprecated endpoints', () => {
  it.each(['download/MEDIA', 'download/MEDIA/name.txt', 'thumbnail/MEDIA?width=32&height=32'])(
    'is frozen: %s is 404 M_NOT_FOUND under each of its prefixes, with a token and without',
    async (path) => {
      for (const version of ['v3', 'r0', 'v1']) {
        for (const api of [server.api(), alice.api]) {
          const reply = await api.get(`/_matrix/media/${version}/${path.replace('MEDIA', media)}`)
          expect(reply).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
          expect(reply.headers.get('access-control-allow-origin')).toBe('*')
        }
      }
      expect((await alice.api.fetch(`/_matrix/client/v1/media/download/${media}`)).status).toBe(200)
    },
  )

  it('refuses parameters that make no sense all the same', async () => {
    for (const path of [
      'thumbnail/hearth.test/a?width=x&height=1',
      'download/hearth.test/a?allow_remote=x',
      'download/hearth.test/a%2Fb',
    ]) {
      expect(await server.api().get(`/_matrix/media/v3/${path}`)).toMatchObject({ status: 400 })
    }
  })

  it('tells of its configuration what the new endpoint tells', async () => {
    const now = await alice.api.get('/_matrix/client/v1/media/config')
    expect(await alice.api.get('/_matrix/media/v3/config')).toMatchObject({ status: 200, body: now.body })
    expect((await server.api().get('/_matrix/media/v3/config')).status).toBe(401)
  })
})
