import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

/** JSON objects that careless code changes on their way to the disk and back, as text. */
const contents: readonly (readonly [what: string, json: string])[] = [
  ['separators that are line ends elsewhere', '{"a":"U+2028 \u2028 U+2029 \u2029 U+0085 \u0085"}'],
  ['control characters', '{"a":"\\u0000\\u0001\\u001f\\u007f\\b\\f\\n\\r\\t"}'],
  ['keys that objects inherit', '{"__proto__":{"a":1},"constructor":{"b":2},"toString":3,"hasOwnProperty":null}'],
  ['keys of a query language', '{"$set":{"a":1},"a.b.c":2,"$$date":5,"$":0}'],
  ['something like a date', '{"a":{"$$date":5}}'],
  ['an empty key', '{"":{"":[]}}'],
  ['keys like numbers', '{"10":1,"9":2,"-1":3,"1e3":4}'],
  ['numbers at the edge', '{"a":[9007199254740991,-9007199254740991,0]}'],
  ['nothing in many forms', '{"a":null,"b":[],"c":{},"d":"","e":false}'],
  ['pairs of surrogates', '{"👩‍👩‍👧‍👦":"\\ud83d\\ude00"}'],
  ['text that is not normalized', '{"e\u0301":"\u00e9","\u00e9":"e\u0301"}'],
  ['right-to-left text', '{"a":"\u202e\u2067drawkcab\u2069"}'],
  ['80 levels', `{"a":${'['.repeat(79)}${']'.repeat(79)}}`],
  ['50 KiB in one text', `{"a":"${'x'.repeat(50_000)}"}`],
  ['quotes and backslashes', '{"a\\"b\\\\":"\\\\u2028 \\" \\/"}'],
]

describe('what is accepted comes back as it was sent', () => {
  let server: TestServer
  let alice: Person
  let roomPath: string

  beforeAll(async () => {
    server = await startTestServer()
    alice = await server.register('alice')
    const { body } = await alice.api.post<{ room_id: string }>('/_matrix/client/v3/createRoom', {})
    roomPath = `/_matrix/client/v3/rooms/${encodeURIComponent(body.room_id)}`
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const sendText = async (method: string, path: string, body: string): Promise<Record<string, unknown>> => {
    const response = await alice.api.fetch(path, { method, body })
    expect(response.status, await response.clone().text()).toBe(200)
    return (await response.json()) as Record<string, unknown>
  }
  /** The same keys and values; the order of keys means nothing in JSON. */
  const expectSame = (value: unknown, json: string): void => expect(value).toEqual(JSON.parse(json))
  const getJson = async (path: string): Promise<Record<string, unknown>> => (await alice.api.get(path)).body

  describe.each(contents)('with %s', (_what, json) => {
    it('as account data, also in /sync', async () => {
      const path = `/_matrix/client/v3/user/${encodeURIComponent(alice.userId)}/account_data/org.example.exact`
      await sendText('PUT', path, json)
      expectSame(await getJson(path), json)
      const { account_data } = (await getJson('/_matrix/client/v3/sync')) as {
        account_data: { events: { type: string; content: unknown }[] }
      }
      expectSame(account_data.events.find(({ type }) => type === 'org.example.exact')?.content, json)
    })

    it('as an event of a room', async () => {
      const { event_id } = await sendText('PUT', `${roomPath}/send/org.example.exact/${crypto.randomUUID()}`, json)
      const event = await getJson(`${roomPath}/event/${encodeURIComponent(String(event_id))}`)
      expectSame(event.content, json)
    })

    it('as state of a room', async () => {
      const path = `${roomPath}/state/org.example.exact/key`
      await sendText('PUT', path, json)
      expectSame(await getJson(path), json)
    })

    it('as a field of a profile', async () => {
      const path = `/_matrix/client/v3/profile/${encodeURIComponent(alice.userId)}/org.example.exact`
      await sendText('PUT', path, `{"org.example.exact":${json}}`)
      expectSame((await getJson(path))['org.example.exact'], json)
    })
  })

  it.each(['\u2028', '__proto__', '$set', ' ', 'a/b', '👪', '%2F'])('as a name in a path: %j', async (name) => {
    const path = `/_matrix/client/v3/user/${encodeURIComponent(alice.userId)}/account_data/${encodeURIComponent(name)}`
    await sendText('PUT', path, '{"a":1}')
    expect(await getJson(path)).toEqual({ a: 1 })
    const state = `${roomPath}/state/org.example.exact/${encodeURIComponent(name)}`
    await sendText('PUT', state, '{"a":1}')
    expect(await getJson(state)).toEqual({ a: 1 })
  })
})
