/**
 * Every endpoint that is mounted, given what nobody should send. Driven from the specification's OpenAPI files and from our
 * declarations of what is not in them, so that an endpoint is covered from the day it is mounted.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AppserviceRig } from '../appservices/rig.ts'
import { listDeclarations } from '../contract/declarations.ts'
import { deliberatelyUnknown } from '../contract/deviations.ts'
import {
  isObject,
  malformedEncoding,
  oddTexts,
  placesIn,
  poison,
  requiredQuery,
  unreadable,
} from '../support/bad-inputs.ts'
import { isMounted, listAllOperations } from '../support/operations.ts'
import { sampleOf, wrongTypesFor } from '../support/sample.ts'
import type { Operation, Schema } from '../support/spec.ts'
import { faultsOfReply } from '../support/spec-schema.ts'
import type { Person, TestServer } from '../support/test-server.ts'

/** Longer than this, a request hangs. */
const TIMEOUT_MS = 10_000

const operations = await listAllOperations()

/** Endpoints that wait for news when they are told to: their waiting time is never set here. */
const WAITING = new Set(['timeout'])

/** With an application service that wants no traffic, for what only those may call. */
let rig: AppserviceRig
let server: TestServer
let people = 0

interface Caller {
  readonly person: Person
  readonly values: Readonly<Record<string, string>>
}

/** A person of their own for each operation, so that one that logs out or deactivates takes nothing from the others. */
async function newCaller({ auth }: Operation): Promise<Caller> {
  people += 1
  const person = await server.register(`person${people}`)
  const room = await person.api.post<{ room_id?: string }>('/_matrix/client/v3/createRoom', { name: 'bad input' })
  const values = {
    userId: person.userId,
    deviceId: person.deviceId,
    roomId: room.body.room_id ?? '!unknown:hearth.test',
    roomIdOrAlias: room.body.room_id ?? '!unknown:hearth.test',
    roomAlias: '#unknown:hearth.test',
    eventId: '$unknown',
    serverName: 'hearth.test',
    appserviceId: rig.service.id,
  }
  if (auth !== 'appserviceAccessToken') return { person, values }
  return { person: { ...person, accessToken: rig.service.asToken }, values }
}

interface Answer {
  readonly status: number
  readonly errcode: unknown
}

interface Input {
  readonly path?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: string | Uint8Array
  /** `null`: none. */
  readonly token?: string | null
}

/** Whether another server is to be asked, which may well be one that nobody can reach. */
const namesServer = ({ path, query }: Input): boolean =>
  path?.serverName !== undefined || query?.includes('server=') === true

/** Sends one request and checks what holds for every answer: no error of ours, and errors in the standard form. */
async function send(operation: Operation, caller: Caller, input: Input): Promise<Answer> {
  const url = operation.url.replace(/\{(\w+)\}/g, (_all, name: string) => {
    return input.path?.[name] ?? encodeURIComponent(caller.values[name] ?? sampleParameter(operation, name))
  })
  const token = input.token === undefined ? caller.person.accessToken : input.token
  const body = input.body ?? (operation.body ? JSON.stringify(localSampleOf(operation.body.schema)) : undefined)
  const query = input.query ?? requiredQuery(operation)
  const response = await server.api(token ?? undefined).fetch(url + (query === '' ? '' : `?${query}`), {
    method: operation.method,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    redirect: 'manual',
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && operation.method !== 'GET' && { body: body as BodyInit }),
  })
  const text = await response.text()
  const what = `${operation.method} ${url.slice(0, 300)} ${JSON.stringify(input).slice(0, 300)} → ${response.status} ${text.slice(0, 300)}`
  if (response.status !== 502 || !namesServer(input)) expect(response.status, what).toBeLessThan(500)
  if (response.status === 200 && operation.reply) {
    expect(faultsOfReply(operation.operationId, JSON.parse(text)), what).toEqual([])
  }
  if (response.status < 400) return { status: response.status, errcode: undefined }
  const error = JSON.parse(text) as { errcode?: unknown; error?: unknown; flows?: unknown }
  // The first 401 of user-interactive authentication names flows instead of an error.
  if (response.status !== 401 || error.flows === undefined) {
    expect(typeof error.errcode, what).toBe('string')
    expect(typeof error.error, what).toBe('string')
  }
  expect(response.headers.get('access-control-allow-origin'), what).toBe('*')
  return { status: response.status, errcode: error.errcode }
}

/** The specification's examples name users and rooms of other servers, which would have to be asked. */
function localSampleOf(schema: Schema): unknown {
  const text = JSON.stringify(sampleOf(schema))
  return text === undefined
    ? undefined
    : JSON.parse(text.replace(/:(matrix|example|domain)\.(org|com)\b/g, ':hearth.test'))
}

function sampleParameter(operation: Operation, name: string): string {
  const schema = operation.parameters.find((parameter) => parameter.name === name)?.schema ?? {}
  return String(localSampleOf(schema))
}

const withoutToken = (operation: Operation): boolean =>
  operation.auth === 'none' || operation.auth === 'signedRequest' || operation.operationId === 'getVersions'

const mounted: Operation[] = []
beforeAll(async () => {
  rig = await AppserviceRig.start({ url: null })
  server = rig.server
})
afterAll(() => rig[Symbol.asyncDispose]())

describe('bad input never breaks the server, whichever endpoint it goes to', () => {
  it.each(operations.map((operation) => [operation.operationId, operation] as const))('%s', async (_id, operation) => {
    if (!(await isMounted(server, operation))) {
      expect(Object.keys(deliberatelyUnknown)).toContain(operation.operationId)
      return
    }
    mounted.push(operation)
    const caller = await newCaller(operation)
    await withBadTokens(operation, caller)
    await withBadPaths(operation, caller)
    await withBadQueries(operation, caller)
    if (operation.body?.contentTypes.includes('application/json'))
      await withBadBodies(operation, caller, operation.body)
    expect((await server.api().get('/_matrix/client/versions')).status).toBe(200)
    expect(server.complaints).toEqual([])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('goes to every endpoint that is declared', async () => {
    const declared = (await listDeclarations('client')).map(({ endpoint }) => endpoint.operationId)
    const reached = new Set(mounted.map(({ operationId }) => operationId))
    expect(declared.filter((operationId) => !reached.has(operationId))).toEqual([])
  })
})

async function withBadTokens(operation: Operation, caller: Caller): Promise<void> {
  if (withoutToken(operation)) return
  const wrong = await send(operation, caller, { token: 'wrong' })
  expect(wrong, 'a wrong token').toEqual({ status: 401, errcode: 'M_UNKNOWN_TOKEN' })
  if (operation.auth === 'accessToken?') return
  const none = await send(operation, caller, { token: null, body: 'no JSON' })
  expect(none, 'no token').toEqual({ status: 401, errcode: 'M_MISSING_TOKEN' })
}

async function withBadPaths(operation: Operation, caller: Caller): Promise<void> {
  const { token } = { token: harmlessToken(operation, caller) }
  for (const { name } of operation.parameters.filter((parameter) => parameter.in === 'path')) {
    for (const text of malformedEncoding) {
      const answer = await send(operation, caller, { path: { [name]: text } })
      expect(answer, `${name} is ${text}`).toEqual({ status: 400, errcode: 'M_INVALID_PARAM' })
    }
    for (const text of oddTexts) {
      if (text.length > 8_000) continue
      await send(operation, caller, {
        path: { [name]: encodeURIComponent(text) },
        ...(token !== undefined && { token }),
      })
    }
  }
}

/** Without a body or parameters to be wrong in, a request with a good token simply does what it is for. */
function harmlessToken(operation: Operation, caller: Caller): string | undefined {
  return operation.auth === 'none' ? undefined : caller.person.accessToken
}

async function withBadQueries(operation: Operation, caller: Caller): Promise<void> {
  for (const { name, schema } of operation.parameters.filter((parameter) => parameter.in === 'query')) {
    const required = requiredQuery(operation)
      .split('&')
      .filter((pair) => pair !== '' && !pair.startsWith(`${encodeURIComponent(name)}=`))
    const query = (text: string): string => [...required, `${encodeURIComponent(name)}=${text}`].join('&')
    const malformed = await send(operation, caller, { query: query('%ff') })
    expect(malformed, `?${name}=%ff`).toEqual({ status: 400, errcode: 'M_INVALID_PARAM' })
    const isNumber = schema.type === 'integer' || schema.type === 'number'
    if (isNumber || schema.type === 'boolean') {
      for (const text of ['text', '1e400', 'NaN', '99999999999999999999', '%00']) {
        const answer = await send(operation, caller, { query: query(text) })
        expect(answer, `?${name}=${text}`).toEqual({ status: 400, errcode: 'M_INVALID_PARAM' })
      }
    }
    if (WAITING.has(name)) continue
    for (const text of isNumber ? ['-1', '0', '9007199254740991', ''] : oddTexts) {
      if (text.length < 8_000) await send(operation, caller, { query: query(encodeURIComponent(text)) })
    }
    await send(operation, caller, { query: `${query('1')}&${query('2')}` })
  }
}

async function withBadBodies(
  operation: Operation,
  caller: Caller,
  body: NonNullable<Operation['body']>,
): Promise<void> {
  for (const [what, bytes, errcode] of unreadable) {
    const answer = await send(operation, caller, { body: bytes })
    // An endpoint may take less than this body's length.
    if (bytes.length > 65_536 && answer.status === 413) continue
    expect(answer, what).toEqual({ status: 400, errcode })
  }
  if (body.isRequired) await send(operation, caller, { body: '' })

  const sample = localSampleOf(body.schema)
  const base = isObject(sample) ? sample : {}
  for (const { at, schema, bodyWith } of placesIn(body.schema, base)) {
    for (const value of wrongTypesFor(schema)) {
      const answer = await send(operation, caller, { body: JSON.stringify(bodyWith(value)) })
      // An optional key may be `null` instead of being left out.
      if (value === null && !body.schema.required?.includes(at)) continue
      // Deeper down, a key may be one that only some events or filters have, and is then carried as it is.
      if (!at.includes('.')) expect(answer.status, `${at} is ${JSON.stringify(value)}`).toBeGreaterThanOrEqual(400)
    }
    if (schema.type !== 'string') continue
    for (const text of oddTexts) await send(operation, caller, { body: JSON.stringify(bodyWith(text)) })
  }
  const inner = JSON.stringify(base).slice(1, -1)
  await send(operation, caller, { body: `{${[inner, poison].filter((part) => part !== '').join(',')}}` })
  await send(operation, caller, { body: JSON.stringify({ ...base, 'org.example.large': 'x'.repeat(70_000) }) })
  await send(operation, caller, { body: JSON.stringify({ ...base, 'org.example.huge': 'x'.repeat(3_000_000) }) })
}
