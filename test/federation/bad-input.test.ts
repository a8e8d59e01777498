/**
 * Every endpoint for other servers, given what nobody should send, by a server that is who it says. Driven from the
 * specification's OpenAPI files, so that an endpoint is covered from the day it is mounted.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseJson } from '../../server/protocol/json.ts'
import type { Json } from '../../server/protocol/pdu.ts'
import { listDeclarations } from '../contract/declarations.ts'
import {
  isObject,
  malformedEncoding,
  oddTexts,
  placesIn,
  poison,
  requiredQuery,
  unreadable,
} from '../support/bad-inputs.ts'
import { type ForeignServer, startForeignServer } from '../support/foreign-server.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom } from '../support/room-calls.ts'
import { sampleOf, wrongTypesFor } from '../support/sample.ts'
import { listOperations, type Operation } from '../support/spec.ts'

const declared = new Set((await listDeclarations('federation')).map(({ endpoint }) => endpoint.operationId))
const operations = listOperations('server-server').filter(({ operationId }) => declared.has(operationId))

/** We are no policy server: what is declared is for asking others. */
const NOT_SERVED = new Set(['askPolicyServerToSign'])

let homes: Homes
let home: Home
let other: ForeignServer
let values: Readonly<Record<string, string>>
beforeAll(async () => {
  homes = await startHomes(['alpha.test'])
  home = homes.get('alpha.test')
  other = await startForeignServer({ ca: homes.ca, name: 'there.test' })
  homes.names.set('there.test', { port: other.port })
  const roomId = await newRoom(await home.register('alice'))
  values = {
    roomId,
    userId: '@x:there.test',
    eventId: '$unknown',
    serverName: 'alpha.test',
    txnId: 'x',
    queryType: 'x',
  }
})
afterAll(async () => {
  await other[Symbol.asyncDispose]()
  await homes[Symbol.asyncDispose]()
})

interface Input {
  readonly path?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: string | Uint8Array
  readonly isUnsigned?: boolean
}

/** Sends one request and checks what holds for every answer: no error of ours, and errors in the standard form. */
async function send(operation: Operation, input: Input) {
  const { method, url, parameters } = operation
  const sampleOfParameter = (name: string): string =>
    values[name] ?? String(sampleOf(parameters.find((parameter) => parameter.name === name)?.schema ?? {}))
  const path = url.replace(/\{(\w+)\}/g, (_all, name: string) => {
    return input.path?.[name] ?? encodeURIComponent(sampleOfParameter(name))
  })
  const query = input.query ?? requiredQuery(operation)
  const uri = path + (query === '' ? '' : `?${query}`)
  const body = input.body ?? (operation.body ? JSON.stringify(sampleOf(operation.body.schema)) : undefined)
  const headers: Record<string, string> =
    input.isUnsigned || operation.auth === 'none' ? {} : { authorization: signed(method, uri, body) }
  const init = { method, headers, ...(body !== undefined && method !== 'GET' && { body }) }
  const answer = await homes.call(home, uri, init)
  const what = `${method} ${uri.slice(0, 300)} ${JSON.stringify(input).slice(0, 300)} → ${answer.status} ${JSON.stringify(answer.body)}`
  expect(answer.status, what).toBeLessThan(500)
  const { errcode, error } = (answer.body ?? {}) as { errcode?: unknown; error?: unknown }
  if (answer.status >= 400) expect([typeof errcode, typeof error], what).toEqual(['string', 'string'])
  return { status: answer.status, errcode }
}

function signed(method: string, uri: string, body: string | Uint8Array | undefined): string {
  const request = { method, uri, destination: 'alpha.test' }
  try {
    const content: Json | undefined = body === undefined || method === 'GET' ? undefined : parseJson(String(body))
    return other.authorization({ ...request, ...(content !== undefined && { content }) })
  } catch {
    // What cannot be read, or has no canonical form, cannot be signed either.
    return other.authorization(request)
  }
}

const INVALID = { status: 400, errcode: 'M_INVALID_PARAM' }

describe('bad input of other servers never breaks this one, whichever endpoint it goes to', () => {
  it.each(operations.map((operation) => [operation.operationId, operation] as const))('%s', async (id, operation) => {
    if (NOT_SERVED.has(id)) {
      expect(await send(operation, {})).toEqual({ status: 404, errcode: 'M_UNRECOGNIZED' })
      return
    }
    if (operation.auth === 'signedRequest') {
      const unsigned = await send(operation, { isUnsigned: true, body: 'no JSON' })
      expect(unsigned).toEqual({ status: 401, errcode: 'M_UNAUTHORIZED' })
    }
    await withBadParameters(operation)
    if (operation.body?.contentTypes.includes('application/json')) await withBadBodies(operation, operation.body.schema)
    expect((await homes.call(home, '/_matrix/federation/v1/version')).status).toBe(200)
    expect(home.complaints).toEqual([])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

async function withBadParameters(operation: Operation): Promise<void> {
  for (const { name, in: place, schema } of operation.parameters) {
    for (const text of place === 'path' ? malformedEncoding : []) {
      expect(await send(operation, { path: { [name]: text } }), `${name} is ${text}`).toEqual(INVALID)
    }
    for (const text of oddTexts.filter(({ length }) => length < 8_000)) {
      const encoded = encodeURIComponent(text)
      await send(operation, place === 'path' ? { path: { [name]: encoded } } : { query: `${name}=${encoded}` })
    }
    if (place !== 'query' || schema.type !== 'integer') continue
    for (const text of ['1e400', 'NaN', '99999999999999999999', '-1', '0', '1.5']) {
      await send(operation, { query: `${requiredQuery(operation)}&${name}=${text}` })
    }
  }
}

async function withBadBodies(operation: Operation, schema: NonNullable<Operation['body']>['schema']): Promise<void> {
  for (const [what, body, errcode] of unreadable) {
    const answer = await send(operation, { body })
    // Rooms of old versions have such numbers.
    if (what === 'a huge integer') continue
    expect(answer.status, what).toBe(400)
    if (errcode === 'M_NOT_JSON') expect(answer.errcode, what).toBe(errcode)
  }
  const base = sampleOf(schema)
  if (!isObject(base)) return
  await send(operation, {
    body: JSON.stringify(base).replace(/^\{/, `{${poison}${Object.keys(base).length > 0 ? ',' : ''}`),
  })
  for (const { schema: property, bodyWith } of placesIn(schema, base)) {
    for (const value of [...wrongTypesFor(property), ...(property.type === 'string' ? oddTexts : [])]) {
      await send(operation, { body: JSON.stringify(bodyWith(value)) })
    }
  }
}
