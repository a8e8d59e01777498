/**
 * Every endpoint for other servers that is mounted, asked by a server that is in a room, by a stranger, and by who only says who
 * they are: wrong signatures, bad input that gets as far as the room, and attempts to learn what is in another room. Every 200 is
 * held against its schema. Driven from the specification's OpenAPI files.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CanonicalJsonError } from '../../server/protocol/canonical-json.ts'
import type { Json } from '../../server/protocol/pdu.ts'
import { type AskingServer, startAskingServer } from '../support/asking-server.ts'
import {
  isObject,
  malformedEncoding,
  oddTexts,
  placesIn,
  poison,
  requiredQuery,
  unreadable,
} from '../support/bad-inputs.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { sampleOf, wrongTypesFor } from '../support/sample.ts'
import { listOperations, type Operation } from '../support/spec.ts'
import { faultsOfServerReply } from '../support/spec-schema.ts'
import type { Person } from '../support/test-server.ts'

const SECRET = 'only for those who are inside'
const operations = listOperations('server-server')

let homes: Homes & { readonly 0: Home }
let home: Home
let member: AskingServer
let stranger: AskingServer
let alice: Person
/** A room that the member's server is in, and one that it is not. */
let open: { readonly roomId: string; readonly eventId: string }
let closed: { readonly roomId: string; readonly eventId: string }

async function makeRoom(wish: object): Promise<{ roomId: string; eventId: string }> {
  const { body } = await alice.api.post<{ room_id: string }>('/_matrix/client/v3/createRoom', wish)
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(body.room_id)}/send/m.room.message/${body.room_id.length}`
  const sent = await alice.api.put<{ event_id: string }>(path, { msgtype: 'm.text', body: SECRET })
  return { roomId: body.room_id, eventId: sent.body.event_id }
}

beforeAll(async () => {
  homes = await startHomes(['alpha.test'])
  home = homes[0]
  member = await startAskingServer(homes, 'member.test')
  stranger = await startAskingServer(homes, 'stranger.test')
  alice = await home.register('alice')
  open = await makeRoom({ preset: 'public_chat' })
  closed = await makeRoom({ preset: 'private_chat', name: SECRET, topic: SECRET })
  await member.join(home, open.roomId, member.user('eve'))
})
afterAll(async () => {
  await member[Symbol.asyncDispose]()
  await stranger[Symbol.asyncDispose]()
  await homes[Symbol.asyncDispose]()
})

interface Answer {
  readonly status: number
  readonly errcode: unknown
  readonly text: string
}

interface Input {
  readonly asking?: AskingServer
  readonly path?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: string
  /** Sent as they are instead of a good signature. */
  readonly headers?: Readonly<Record<string, string>>
}

const valuesOf = (
  asking: AskingServer,
  room: { roomId: string; eventId: string },
): Readonly<Record<string, string>> => ({
  roomId: room.roomId,
  eventId: room.eventId,
  userId: asking.user('eve'),
  serverName: home.serverName,
  txnId: 'txn',
})

function pathOf(operation: Operation, values: Readonly<Record<string, string>>, input: Input): string {
  const url = operation.url.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const schema = operation.parameters.find((parameter) => parameter.name === name)?.schema ?? {}
    return input.path?.[name] ?? encodeURIComponent(values[name] ?? String(sampleOf(schema)))
  })
  const query = input.query ?? requiredQuery(operation)
  return query === '' ? url : `${url}?${query}`
}

/** Sends one request and checks what holds for every answer: no error of ours, and errors in the standard form. */
async function send(operation: Operation, input: Input, room = open): Promise<Answer> {
  const { asking = member } = input
  const path = pathOf(operation, valuesOf(asking, room), input)
  const { method } = operation
  const body = input.body ?? (operation.body ? JSON.stringify(sampleOf(operation.body.schema)) : undefined)
  const isSigned = operation.auth === 'signedRequest' || operation.auth === 'accessToken'
  const authorization = isSigned ? signed(asking, method, path, body) : undefined
  const reply = await homes.call(home, path, {
    method,
    headers: input.headers ?? { 'content-type': 'application/json', ...(authorization && { authorization }) },
    ...(body !== undefined && { body }),
  })
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body)
  const what = `${method} ${path.slice(0, 300)} ${JSON.stringify(input.body ?? '').slice(0, 200)} → ${reply.status} ${text.slice(0, 300)}`
  expect(reply.status, what).toBeLessThan(500)
  if (reply.status === 200) {
    if (operation.reply) expect(faultsOfServerReply(operation.operationId, reply.body), what).toEqual([])
    return { status: 200, errcode: undefined, text }
  }
  const { errcode, error } = reply.body as { errcode?: unknown; error?: unknown }
  if (reply.status >= 400) expect([typeof errcode, typeof error], what).toEqual(['string', 'string'])
  return { status: reply.status, errcode, text }
}

/** A good signature, where the body is one that can be signed; whoever sends no JSON signs a request without any. */
function signed(asking: AskingServer, method: string, uri: string, body: string | undefined): string {
  const request = { method, uri, destination: home.serverName }
  try {
    if (body !== undefined) return asking.foreign.authorization({ ...request, content: JSON.parse(body) as Json })
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof CanonicalJsonError)) throw error
  }
  return asking.foreign.authorization(request)
}

async function isMounted(operation: Operation): Promise<boolean> {
  const { body } = await homes.call(home, operation.url.replace(/\{\w+\}/g, 'x'), { method: operation.method })
  return (body as { errcode?: string } | null)?.errcode !== 'M_UNRECOGNIZED'
}

const mounted: string[] = []

describe('bad input never breaks the server, nor opens a room, whichever endpoint for servers it goes to', () => {
  it.each(operations.map((operation) => [operation.operationId, operation] as const))('%s', async (id, operation) => {
    if (!(await isMounted(operation))) return
    mounted.push(id)
    if (operation.auth !== 'none') await withBadSignatures(operation)
    await withBadPaths(operation)
    await withBadQueries(operation)
    if (operation.body) await withBadBodies(operation, operation.body)
    await ofAnotherRoom(operation)
    expect(home.complaints).toEqual([])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('goes to all endpoints about rooms', () => {
    const files =
      /\/(events|event_auth|backfill|joins|leaving|knocks|invites|public_rooms|query|space_hierarchy|third_party)/
    const wanted = operations.filter(({ file }) => files.test(file)).map(({ operationId }) => operationId)
    expect(wanted.filter((id) => !mounted.includes(id))).toEqual([])
  })
})

async function withBadSignatures(operation: Operation): Promise<void> {
  const unsigned = await send(operation, { headers: { 'content-type': 'application/json' } })
  expect(unsigned, 'no signature').toMatchObject({ status: 401, errcode: 'M_UNAUTHORIZED' })
  const { method } = operation
  const path = pathOf(operation, valuesOf(member, open), {})
  const content = operation.body ? { content: sampleOf(operation.body.schema) as Json } : {}
  const request = { method, uri: path, destination: home.serverName, ...content }
  const { foreign } = member
  const wrong = [
    'Bearer token',
    'X-Matrix',
    `X-Matrix origin="${'x'.repeat(5_000)}"`,
    foreign.authorization({ ...request, uri: `${path}/other` }),
    foreign.authorization({ ...request, destination: 'other.test' }),
    foreign.authorization({ ...request, content: { another: 'body' } }),
    foreign.authorization(request, { sig: 'A'.repeat(86) }),
    foreign.authorization(request, { key: 'ed25519:unknown' }),
    foreign.authorization({ ...request, origin: 'nowhere.test' }),
    foreign.authorization({ ...request, origin: home.serverName }),
    // Another server's key under this one's name.
    stranger.foreign.authorization({ ...request, origin: member.name }, { key: foreign.key.keyId }),
  ]
  for (const authorization of wrong) {
    const answer = await send(operation, { headers: { 'content-type': 'application/json', authorization } })
    expect(answer, authorization.slice(0, 200)).toMatchObject({ status: 401, errcode: 'M_UNAUTHORIZED' })
  }
}

async function withBadPaths(operation: Operation): Promise<void> {
  for (const { name } of operation.parameters.filter((parameter) => parameter.in === 'path')) {
    for (const text of malformedEncoding) {
      const answer = await send(operation, { path: { [name]: text } })
      expect(answer, `${name} is ${text}`).toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' })
    }
    for (const text of oddTexts) {
      if (text.length < 8_000) await send(operation, { path: { [name]: encodeURIComponent(text) } })
    }
    await send(operation, { path: { [name]: encodeURIComponent('!nowhere:alpha.test') } })
  }
}

async function withBadQueries(operation: Operation): Promise<void> {
  for (const { name, schema, required } of operation.parameters.filter((parameter) => parameter.in === 'query')) {
    const others = requiredQuery(operation)
      .split('&')
      .filter((pair) => pair !== '' && !pair.startsWith(`${encodeURIComponent(name)}=`))
    const query = (...texts: readonly string[]): string =>
      [...others, ...texts.map((text) => `${encodeURIComponent(name)}=${text}`)].join('&')
    if (required)
      expect(await send(operation, { query: others.join('&') }), `no ${name}`).toMatchObject({ status: 400 })
    const malformed = await send(operation, { query: query('%ff') })
    expect(malformed, `?${name}=%ff`).toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' })
    const isNumber = schema.type === 'integer'
    if (isNumber || schema.type === 'boolean') {
      for (const text of ['text', '1e400', 'NaN', '99999999999999999999', '%00']) {
        const answer = await send(operation, { query: query(text) })
        expect(answer, `?${name}=${text}`).toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' })
      }
    }
    for (const text of isNumber ? ['-1', '0', '9007199254740991', ''] : oddTexts) {
      if (text.length < 8_000) await send(operation, { query: query(encodeURIComponent(text)) })
    }
    await send(operation, { query: query(...Array.from({ length: 500 }, (_, i) => String(i))) })
  }
}

async function withBadBodies(operation: Operation, body: NonNullable<Operation['body']>): Promise<void> {
  for (const [what, bytes] of unreadable) {
    if (typeof bytes !== 'string') continue
    const answer = await send(operation, { body: bytes })
    // A body that cannot be signed is refused for the one reason or the other.
    expect([400, 401, 413], `${what}: ${answer.text}`).toContain(answer.status)
  }
  await send(operation, { body: '' })
  const sample = sampleOf(body.schema)
  const base = isObject(sample) ? sample : {}
  for (const { at, schema, bodyWith } of placesIn(body.schema, base)) {
    for (const value of wrongTypesFor(schema)) {
      const answer = await send(operation, { body: JSON.stringify(bodyWith(value)) })
      if (value === null && !body.schema.required?.includes(at)) continue
      if (!at.includes('.')) expect(answer.status, `${at} is ${JSON.stringify(value)}`).toBeGreaterThanOrEqual(400)
    }
    if (schema.type !== 'string' || at.includes('.')) continue
    for (const text of oddTexts) {
      if (text.length < 8_000) await send(operation, { body: JSON.stringify(bodyWith(text)) })
    }
  }
  const inner = JSON.stringify(base).slice(1, -1)
  await send(operation, { body: `{${[inner, poison].filter((part) => part !== '').join(',')}}` })
  await send(operation, { body: JSON.stringify({ ...base, 'org.example.huge': 'x'.repeat(3_000_000) }) })
}

/** Neither an outsider nor who is in another room learns anything of a room, by whatever way. */
async function ofAnotherRoom(operation: Operation): Promise<void> {
  const tries = [
    await send(operation, { asking: stranger }, closed),
    await send(operation, { asking: stranger }, { roomId: closed.roomId, eventId: open.eventId }),
    await send(operation, { asking: member }, closed),
    await send(operation, { asking: member }, { roomId: open.roomId, eventId: closed.eventId }),
    await send(operation, { asking: stranger }, open),
  ]
  for (const { text } of tries) expect(text).not.toContain(SECRET)
}
