import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let admin: Person
let alice: Person
let people = 0
beforeAll(async () => {
  server = await startTestServer()
  admin = await registerAdmin(server, 'admin')
})
beforeEach(async () => {
  people += 1
  alice = await server.register(`alice${people}`)
})
afterAll(async () => {
  expect(server.complaints).toEqual([])
  await server[Symbol.asyncDispose]()
})

const mediaOf = ({ userId }: Person) => `/_hearth/client/v1/users/${encodeURIComponent(userId)}/media`
const upload = (person: Person, body: BodyInit) =>
  person.api.fetch('/_matrix/media/v3/upload?filename=a.txt', {
    method: 'POST',
    body,
    headers: { 'content-type': 'text/plain' },
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  } as RequestInit)
async function uploaded(person: Person, text: string): Promise<string> {
  const reply = await upload(person, text)
  expect(reply.status).toBe(200)
  return ((await reply.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
}
const statusOf = async (person: Person, media: string) =>
  (await person.api.fetch(`/_matrix/client/v1/media/download/${media}`)).status
const limitTo = (bytes: number | null) => admin.api.put(`${mediaOf(alice)}/quota`, { max_bytes: bytes })

describe('quotas: client-server-api §M_USER_LIMIT_EXCEEDED', () => {
  it('are none at first; what is there stays, and no more than that is taken', async () => {
    const kept = await uploaded(alice, 'x'.repeat(800))
    expect((await limitTo(1_000)).status).toBe(200)
    const refused = await upload(alice, 'x'.repeat(201))
    expect(refused.status).toBe(403)
    expect(await refused.json()).toMatchObject({
      errcode: 'M_USER_LIMIT_EXCEEDED',
      info_uri: expect.stringMatching(/^http.*\/account$/),
    })
    await uploaded(alice, 'x'.repeat(200))
    expect((await upload(alice, 'x')).status).toBe(403)
    expect(await statusOf(alice, kept)).toBe(200)
    expect((await alice.api.get(mediaOf(alice))).body).toMatchObject({ files: 2, bytes: 1_000, max_bytes: 1_000 })
    await limitTo(null)
    await uploaded(alice, 'x'.repeat(5_000))
  })

  it('hold also for uploads at the same time, and for IDs made ahead', async () => {
    await limitTo(1_000)
    const all = await Promise.all(Array.from({ length: 6 }, () => upload(alice, 'x'.repeat(300))))
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 200, 403, 403, 403])
    const { body } = await alice.api.post<{ content_uri: string }>('/_matrix/media/v1/create')
    const path = `/_matrix/media/v3/upload/${body.content_uri.slice('mxc://'.length)}`
    expect((await alice.api.fetch(path, { method: 'PUT', body: 'x'.repeat(300) })).status).toBe(403)
    expect((await alice.api.fetch(path, { method: 'PUT', body: 'x'.repeat(100) })).status).toBe(200)
    expect((await alice.api.get(mediaOf(alice))).body).toMatchObject({ files: 4, bytes: 1_000 })
  })

  it('are set by administrators alone, for accounts that there are', async () => {
    expect((await alice.api.put(`${mediaOf(alice)}/quota`, { max_bytes: null })).status).toBe(403)
    for (const max_bytes of [-1, 0.5, 'x']) {
      expect((await admin.api.put(`${mediaOf(alice)}/quota`, { max_bytes })).status).toBe(400)
    }
    const nobody = mediaOf({ ...alice, userId: '@nobody:hearth.test' })
    expect((await admin.api.put(`${nobody}/quota`, { max_bytes: 1 })).status).toBe(404)
  })
})

describe('what administrators see and do of uploads', () => {
  it('lists a user’s uploads, newest first, page by page; to nobody else but themselves', async () => {
    const media: string[] = []
    for (const text of ['one', 'two', 'three']) media.push(await uploaded(alice, text))
    await alice.api.post('/_matrix/media/v1/create')
    interface Page {
      readonly media: readonly { readonly content_uri: string }[]
      readonly next?: string
    }
    const first = (await admin.api.get<Page>(mediaOf(alice), { limit: 2 })).body
    expect(first.media[0]).toEqual({
      content_uri: `mxc://${media[2]}`,
      content_type: 'text/plain',
      filename: 'a.txt',
      size: 5,
      created_ts: expect.any(Number),
      quarantined: false,
    })
    const second = (await alice.api.get<Page>(mediaOf(alice), { limit: 2, before: first.next })).body
    const uris = [...first.media, ...second.media].map(({ content_uri }) => content_uri)
    expect(uris).toEqual([...media].reverse().map((one) => `mxc://${one}`))
    expect(second.next).toBeUndefined()
    const bob = await server.register(`bob${people}`)
    expect((await bob.api.get(mediaOf(alice))).status).toBe(403)
  })

  it('removes one, which gives its space back, or all of a user', async () => {
    const [one, two, three] = [await uploaded(alice, '1'), await uploaded(alice, '22'), await uploaded(alice, '333')]
    expect((await alice.api.delete(`/_hearth/client/v1/media/${one}`)).status).toBe(403)
    expect((await admin.api.delete(`/_hearth/client/v1/media/${one}`)).status).toBe(200)
    expect((await admin.api.delete(`/_hearth/client/v1/media/${one}`)).status).toBe(404)
    expect(await statusOf(alice, one)).toBe(404)
    expect((await alice.api.get(mediaOf(alice))).body).toMatchObject({ files: 2, bytes: 5 })
    expect((await alice.api.delete(mediaOf(alice))).status).toBe(403)
    expect(await admin.api.delete(mediaOf(alice))).toMatchObject({ status: 200, body: { removed: 2 } })
    for (const media of [two, three]) expect(await statusOf(alice, media)).toBe(404)
    expect((await alice.api.get(mediaOf(alice))).body).toMatchObject({ files: 0, bytes: 0, media: [] })
  })

  it('quarantines one: shown to nobody, and kept', async () => {
    const media = await uploaded(alice, 'text')
    const path = `/_hearth/client/v1/media/${media}/quarantine`
    expect((await alice.api.put(path, { quarantined: true })).status).toBe(403)
    expect((await admin.api.put(path, { quarantined: true })).status).toBe(200)
    expect(await statusOf(alice, media)).toBe(404)
    const thumbnail = `/_matrix/client/v1/media/thumbnail/${media}?width=32&height=32`
    expect((await alice.api.fetch(thumbnail)).status).toBe(404)
    expect((await admin.api.get(mediaOf(alice))).body).toMatchObject({ media: [{ quarantined: true }] })
    await admin.api.put(path, { quarantined: false })
    expect(await statusOf(alice, media)).toBe(200)
    const unknown = '/_hearth/client/v1/media/hearth.test/unknown/quarantine'
    expect((await admin.api.put(unknown, { quarantined: true })).status).toBe(404)
  })
})
