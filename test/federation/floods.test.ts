import { request as httpRequest } from 'node:http'
import { Type } from 'typebox'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { route } from '../../server/http/route.ts'
import { endpoint } from '../../shared/api/endpoint.ts'
import type { ForeignServer } from '../support/foreign-server.ts'
import { type Rig, startRig } from './rig.ts'

const slow = endpoint({
  operationId: 'slow',
  method: 'GET',
  url: '/_matrix/federation/v1/slow',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({}),
  errors: {},
})

let rig: Rig
let there: ForeignServer
/** How many run, and how to end them. */
let running: (() => void)[]
beforeEach(async () => {
  running = []
  const wait = () => new Promise<Record<string, never>>((resolve) => running.push(() => resolve({})))
  rig = await startRig({ isLimited: true, routes: [route(slow, wait)] })
  there = await rig.foreign('there.test')
})
afterEach(() => rig[Symbol.asyncDispose]())

const SLOW = { method: 'GET', uri: '/_matrix/federation/v1/slow', destination: 'here.test' }
const WHO = { method: 'GET', uri: '/_matrix/federation/v1/who', destination: 'here.test' }
const ask = (request: typeof SLOW, server = there, signal?: AbortSignal) =>
  fetch(rig.url + request.uri, {
    headers: { authorization: server.authorization(request) },
    ...(signal && { signal }),
  })
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

describe('requests of one server at the same time', () => {
  it('run eight at a time, wait in a short line, and are refused beyond it; others are answered', async () => {
    const other = await rig.foreign('other.test')
    expect((await ask(WHO)).status).toBe(200)
    const statuses: number[] = []
    const all = Array.from({ length: 41 }, async () => {
      const { status } = await ask(SLOW)
      statuses.push(status)
      return status
    })
    await until(() => running.length === 8 && statuses.length === 1)
    expect(statuses).toEqual([429])
    expect((await ask(WHO, other)).status).toBe(200)
    let ended = 0
    while (ended < 40) {
      await until(() => running.length > 0)
      running.shift()?.()
      ended += 1
    }
    expect((await Promise.all(all)).filter((status) => status === 200)).toHaveLength(40)
  })

  it('give up their place when the other server goes away', async () => {
    expect((await ask(WHO)).status).toBe(200)
    const gone = new AbortController()
    const first = Array.from({ length: 40 }, () => ask(SLOW, there, gone.signal).catch(() => undefined))
    await until(() => running.length === 8)
    gone.abort()
    await Promise.all(first)
    let answered = 0
    const again = ask(SLOW).then(({ status }) => {
      answered = status
    })
    await until(() => {
      for (const end of running.splice(0)) end()
      return answered !== 0
    })
    await again
    expect(answered).toBe(200)
  })
})

describe('bodies that come drop by drop', () => {
  it('of one address are few at a time, and keep nobody of another connection from answers without one', async () => {
    const uri = '/_matrix/federation/v1/echo/x'
    const header = there.authorization({ method: 'PUT', uri, destination: 'here.test', content: { needed: 'y' } })
    const statuses: (number | undefined)[] = []
    const open = Array.from({ length: 81 }, () => {
      const sent = httpRequest(rig.url + uri, { method: 'PUT', headers: { authorization: header }, agent: false })
      sent.on('error', () => undefined)
      sent.on('response', (response) => statuses.push(response.statusCode))
      sent.write('{')
      return sent
    })
    await until(() => statuses.length === 1)
    expect(statuses).toEqual([429])
    expect((await fetch(`${rig.url}/_matrix/key/v2/server`)).status).toBe(200)
    for (const sent of open) sent.destroy()
    await until(() => open.every(({ destroyed }) => destroyed))
    expect((await ask(WHO)).status).toBe(200)
  })
})
