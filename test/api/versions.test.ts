import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from '../support/test-server.ts'

describe('client-server-api §GET /_matrix/client/versions', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  it('names every version from v1.1 to v1.19', async () => {
    const { status, body } = await server.api().get<{ versions: string[] }>('/_matrix/client/versions')
    expect(status).toBe(200)
    expect(body.versions).toEqual(Array.from({ length: 19 }, (_, i) => `v1.${i + 1}`))
  })

  it('tells everybody the same features, with a token and without', async () => {
    const alice = await server.register('alice')
    const { body } = await server.api().get('/_matrix/client/versions')
    const features = Object.keys(body.unstable_features as object)
    expect(features.length).toBeGreaterThan(0)
    for (const feature of features) expect(feature).toMatch(/^[a-z]+(\.[\w-]+)+$/)
    expect((await alice.api.get('/_matrix/client/versions')).body).toEqual(body)
  })

  it('answers with an old token too', async () => {
    expect((await server.api('no longer good').get('/_matrix/client/versions')).status).toBe(200)
  })
})
