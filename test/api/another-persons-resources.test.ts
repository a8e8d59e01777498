/**
 * Every endpoint that is mounted, called by somebody who may not: without a token, with a wrong one, as a locked user, and for
 * what belongs to another person. Driven from the specification's OpenAPI files and our declarations, so that an endpoint is
 * covered from the day it is mounted; where another answer than 403 or 404 is right, a table says why.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AppserviceRig } from '../appservices/rig.ts'
import { registerAdmin } from '../support/admin.ts'
import { isMounted, listAllOperations } from '../support/operations.ts'
import { makeOwnedWorld, type OwnedWorld } from '../support/owned-world.ts'
import { join } from '../support/room-calls.ts'
import { sampleOf } from '../support/sample.ts'
import type { Operation } from '../support/spec.ts'
import type { Person, TestServer } from '../support/test-server.ts'

/** Path parameters that name something of somebody's. */
const OWNED = new Set(
  'userId deviceId roomId roomIdOrAlias roomAlias eventId filterId version sessionId mediaId delayId token reportId tag ruleId'.split(
    ' ',
  ),
)
/** Path parameters that name nothing of anybody's by themselves. */
const NEUTRAL = new Set(
  'type appserviceId networkId serverName fileName keyName kind receiptType txnId relType eventType stateKey idpId protocol action'.split(
    ' ',
  ),
)

/** Where a stranger gets another answer than 403 or 404, and why that is right. */
const otherwise: Readonly<Record<string, readonly [status: number, why: string]>> = {}

/** Bodies that name another person's things, or that the request needs to get as far as being refused. */
const bodies: Readonly<Record<string, (world: OwnedWorld) => unknown>> = {
  setRoomAlias: () => ({ room_id: '!elsewhere:hearth.test' }),
}

const operations = await listAllOperations()
const ownersIn = (operation: Operation): readonly string[] =>
  operation.parameters.filter(({ in: place, name }) => place === 'path' && OWNED.has(name)).map(({ name }) => name)

let rig: AppserviceRig
let server: TestServer
let world: OwnedWorld
let shared: OwnedWorld
let mallory: Person
let locked: Person
beforeAll(async () => {
  rig = await AppserviceRig.start({ url: null })
  server = rig.server
  const root = await registerAdmin(server, 'root')
  world = await makeOwnedWorld(server, await server.register('alice'))
  shared = await makeOwnedWorld(server, await server.register('anna'), { preset: 'public_chat' })
  mallory = await server.register('mallory')
  await join(mallory, shared.pathValue('roomId', ''))
  locked = await server.register('locked')
  const lock = `/_matrix/client/v1/admin/lock/${encodeURIComponent(locked.userId)}`
  expect(await root.api.put(lock, { locked: true })).toMatchObject({ status: 200 })
})
afterAll(() => rig[Symbol.asyncDispose]())

interface Answer {
  readonly status: number
  readonly errcode: unknown
  readonly text: string
}

async function call(operation: Operation, of: OwnedWorld, token: string | undefined): Promise<Answer> {
  const { operationId, method, parameters } = operation
  const url = operation.url.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(of.pathValue(name, operationId)),
  )
  const query = new URLSearchParams(
    parameters
      .filter(({ in: place, required }) => place === 'query' && required)
      .map(({ name, schema }) => [
        name,
        name === 'version' ? of.pathValue(name, operationId) : String(sampleOf(schema)),
      ]),
  )
  const body = bodies[operationId]?.(of) ?? (operation.body ? sampleOf(operation.body.schema) : undefined)
  const response = await server.api(token).fetch(`${url}?${query}`, {
    method,
    redirect: 'manual',
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && method !== 'GET' && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  expect(response.status, `${method} ${url} → ${text.slice(0, 300)}`).toBeLessThan(500)
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return { status: response.status, errcode: isJson ? (JSON.parse(text) as Answer).errcode : undefined, text }
}

describe('client-server-api §Using access tokens, §Account locking', () => {
  const guarded = operations.filter(({ auth, operationId }) => auth !== 'none' && operationId !== 'getVersions')
  it.each(guarded.map((operation) => [operation.operationId, operation] as const))(
    '%s is for people with a good token, who are not locked',
    async (operationId, operation) => {
      if (!(await isMounted(server, operation))) return
      const wrong = await call(operation, world, 'wrong')
      expect(wrong).toMatchObject({ status: 401, errcode: 'M_UNKNOWN_TOKEN' })
      if (operation.auth !== 'accessToken?') {
        expect(await call(operation, world, undefined)).toMatchObject({ status: 401, errcode: 'M_MISSING_TOKEN' })
      }
      // The two that a locked user may call: test/api/admin.
      if (operationId === 'logout' || operationId === 'logout_all') return
      const expected =
        operation.auth === 'appserviceAccessToken'
          ? { status: 403, errcode: 'M_FORBIDDEN' }
          : { status: 401, errcode: 'M_USER_LOCKED' }
      expect(await call(operation, world, locked.accessToken)).toMatchObject(expected)
    },
  )
})

describe('what belongs to another person stays theirs', () => {
  it('knows of each path parameter whether it names something of somebody’s', () => {
    const names = operations.flatMap(({ parameters }) => parameters.filter(({ in: place }) => place === 'path'))
    expect(names.map(({ name }) => name).filter((name) => !OWNED.has(name) && !NEUTRAL.has(name))).toEqual([])
  })

  const named = operations.filter((operation) => ownersIn(operation).length > 0)
  it.each(named.map((operation) => [operation.operationId, operation] as const))(
    '%s',
    async (operationId, operation) => {
      if (!(await isMounted(server, operation))) return
      const before = await world.picture()
      const answer = await call(operation, world, mallory.accessToken)
      expect(await world.picture()).toBe(before)
      const right = otherwise[operationId]
      if (right) expect(answer, right[1]).toMatchObject({ status: right[0] })
      else {
        expect([403, 404], answer.text.slice(0, 300)).toContain(answer.status)
        expect(String(answer.errcode)).toMatch(/^M_/)
      }
      expect(server.complaints).toEqual([])
    },
  )
})

describe('who is in the same room has no more of another person’s own things', () => {
  const named = operations.filter((operation) =>
    ['userId', 'roomId'].every((name) => ownersIn(operation).includes(name)),
  )
  it.each(named.map((operation) => [operation.operationId, operation] as const))('%s', async (_id, operation) => {
    const before = await shared.picture()
    expect(await call(operation, shared, mallory.accessToken)).toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
    expect(await shared.picture()).toBe(before)
  })
})
