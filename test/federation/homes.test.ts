import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { manualClock } from '../support/manual-clock.ts'

const clock = manualClock(Date.now())
let homes: Homes & { readonly 0: Home; readonly 1: Home; readonly 2: Home }
beforeEach(async () => {
  homes = await startHomes(['alpha.test', 'beta.test', 'gamma.test'], { clock })
})
afterEach(() => homes[Symbol.asyncDispose]())

/** Whether one home gets a new key document from another: what is kept never is good for so long. */
async function reaches(from: Home, to: Home): Promise<boolean> {
  // No document is as new as this one, and no failure is remembered so long.
  clock.advance(10 * 60_000)
  const path = `/_matrix/key/v2/query/${to.serverName}?minimum_valid_until_ts=${clock.now() + 23 * 3_600_000}`
  const { body } = await homes.call(from, path)
  const [document] = (body as { server_keys: { valid_until_ts: number }[] }).server_keys
  return document !== undefined && document.valid_until_ts > clock.now() + 22 * 3_600_000
}

/** Key documents are made anew after an hour. */
async function reachesAnew(from: Home, to: Home): Promise<boolean> {
  clock.advance(5 * 3_600_000)
  return reaches(from, to)
}

describe('homes of a test', () => {
  it('reach each other by name over TLS, until they are cut apart, and again when they are joined', async () => {
    const [alpha, beta, gamma] = [homes[0], homes[1], homes[2]]
    expect([await reaches(alpha, beta), await reaches(beta, alpha)]).toEqual([true, true])
    homes.cut(alpha, beta)
    expect([await reachesAnew(alpha, beta), await reachesAnew(beta, alpha)]).toEqual([false, false])
    expect([await reachesAnew(alpha, gamma), await reachesAnew(gamma, beta)]).toEqual([true, true])
    homes.heal(alpha, beta)
    expect([await reachesAnew(alpha, beta), await reachesAnew(beta, alpha)]).toEqual([true, true])
    homes.isolate(gamma)
    expect([await reachesAnew(alpha, gamma), await reachesAnew(gamma, beta)]).toEqual([false, false])
    homes.healAll()
    expect(await reachesAnew(gamma, beta)).toBe(true)
  })

  it('are the same after a restart: key, accounts, and found where they are now', async () => {
    const [alpha, beta] = [homes[0], homes[1]]
    const alice = await alpha.register('alice')
    const keysOf = async () => (await homes.call(alpha, '/_matrix/key/v2/server')).body as { verify_keys: object }
    const before = await keysOf()
    await alpha.stop()
    expect(await reachesAnew(beta, alpha)).toBe(false)
    await alpha.restart()
    expect((await keysOf()).verify_keys).toEqual(before.verify_keys)
    expect((await alpha.api(alice.accessToken).get('/_matrix/client/v3/account/whoami')).status).toBe(200)
    expect(await reachesAnew(beta, alpha)).toBe(true)
  })

  it('publish the keys that the owner has put aside', async () => {
    const alpha = homes[0]
    const path = join(alpha.dataDir, 'identity', 'identity.json')
    await alpha.stop()
    const file = JSON.parse(await readFile(path, 'utf8')) as object
    const old = { 'ed25519:before': { key: 'A'.repeat(43), expired_ts: 1_700_000_000_000 } }
    await writeFile(path, JSON.stringify({ ...file, old_verify_keys: old }))
    await alpha.restart()
    const { body } = await homes.call(alpha, '/_matrix/key/v2/server')
    expect(body).toMatchObject({ old_verify_keys: old })
  })

  it('tell which program they are', async () => {
    const { status, body } = await homes.call(homes[0], '/_matrix/federation/v1/version')
    expect([status, body]).toEqual([
      200,
      { server: { name: 'Hearth', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) } },
    ])
  })
})
