import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Home, type Homes, startHomes } from '../support/homes.ts'

let homes: Homes & { readonly 0: Home }
const sockets = new Set<Socket>()
/** A server that takes connections and never says a word. */
const silent = createServer((socket) => {
  sockets.add(socket)
  socket.on('error', () => undefined)
})
beforeEach(async () => {
  homes = await startHomes(['alpha.test'])
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  await homes[Symbol.asyncDispose]()
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  await new Promise((resolve) => silent.close(resolve))
})

/** Before that long a service manager has lost its patience. */
const MAX_STOP_MS = 5_000

describe('a stop', () => {
  it('ends within 5 s while other servers that never answer are asked for rooms, keys and profiles', async () => {
    const alpha = homes[0]
    const { port } = silent.address() as AddressInfo
    for (const name of ['one.test', 'two.test', 'three.test']) homes.names.set(name, { port })
    const alice = await alpha.register('alice')
    const requests = [
      alice.api.post('/_matrix/client/v3/join/!room:one.test?via=one.test', {}),
      alice.api.get('/_matrix/client/v3/profile/@bob:two.test'),
      homes.call(alpha, '/_matrix/key/v2/query/three.test'),
    ].map((request) => request.catch(() => undefined))
    await expect.poll(() => sockets.size).toBeGreaterThanOrEqual(3)
    const startMs = performance.now()
    await alpha.stop()
    expect(performance.now() - startMs).toBeLessThan(MAX_STOP_MS)
    await Promise.all(requests)
  })
})
