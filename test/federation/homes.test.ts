import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Home, type Homes, startHomes } from '../support/homes.ts'

let homes: Homes & { readonly 0: Home; readonly 1: Home }
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test'])
})
afterAll(() => homes[Symbol.asyncDispose]())

/** What one home can say of another's keys. */
async function keysSeen(from: Home, of: Home) {
  const path = `/_matrix/key/v2/query/${of.serverName}?minimum_valid_until_ts=${Date.now() + 86_000_000}`
  const { body } = await homes.call(from, path)
  return (body as { server_keys: { server_name: string }[] }).server_keys
}

describe('homes of the tests', () => {
  it('reach each other by name, over TLS', async () => {
    const [alpha, beta] = [homes[0], homes[1]]
    expect(await keysSeen(alpha, beta)).toMatchObject([{ server_name: 'beta.test' }])
  })
})
