import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { formBrowser } from '../support/form-browser.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const REGISTER = '/_matrix/client/v3/register'
const TERMS = '/_hearth/client/v1/terms'
const STAGE = 'm.login.terms'
const password = 'correct horse battery'
const policies = {
  house_rules: {
    version: '1.2',
    en: { name: 'House rules', url: 'https://example.org/rules.en.html' },
    de: { name: 'Hausordnung', url: 'https://example.org/rules.de.html' },
  },
}

let server: TestServer
let root: Person
beforeAll(async () => {
  server = await startTestServer()
  root = await registerAdmin(server, 'root')
})
afterAll(() => server[Symbol.asyncDispose]())

describe('client-server-api §Terms of service at registration', () => {
  it('asks nobody as long as there are no terms', async () => {
    expect((await root.api.get(TERMS)).body).toEqual({ policies: {} })
    const { body } = await server.api().post(REGISTER, { username: 'early', password })
    expect(body).toMatchObject({ flows: [{ stages: ['m.login.dummy'] }], params: {} })
  })

  it('shows the documents, and makes the account once they are accepted', async () => {
    expect((await root.api.put(TERMS, { policies })).status).toBe(200)
    expect((await root.api.get(TERMS)).body).toEqual({ policies })
    const { status, body } = await server.api().post(REGISTER, { username: 'reader', password })
    expect(status).toBe(401)
    expect(body).toMatchObject({ flows: [{ stages: [STAGE] }], params: { [STAGE]: { policies } } })
    const skipped = await server.api().post(REGISTER, {
      username: 'reader',
      password,
      auth: { type: 'm.login.dummy', session: body.session },
    })
    expect(skipped.status).toBe(401)
    const made = await server.api().post(REGISTER, {
      username: 'reader',
      password,
      auth: { type: STAGE, session: body.session },
    })
    expect(made).toMatchObject({ status: 200, body: { user_id: '@reader:hearth.test' } })
  })

  it('has a box for each document on the page, in the language of the reader', async () => {
    const browser = formBrowser(server.baseUrl, 'de')
    const page = await browser.get('/oauth/new-account')
    expect(page.text).toContain('Hausordnung')
    expect(page.html).toContain('href="https://example.org/rules.de.html"')
    const refused = await browser.submit('/oauth/new-account', { username: 'clicker', password })
    expect(refused.status).toBe(400)
    const done = await browser.submit('/oauth/new-account', {
      username: 'clicker',
      password,
      'terms house_rules': '1.2',
    })
    expect(done.text).toContain('@clicker:hearth.test')
  })

  it('leaves the terms to administrators', async () => {
    const { body } = await server.api().post(REGISTER, { username: 'user', password, auth: { type: STAGE } })
    const user = server.api(body.access_token as string)
    expect(await user.get(TERMS)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await user.put(TERMS, { policies: {} })).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it.each([
    { 'no spaces': policies.house_rules },
    { rules: { version: 'with space', en: policies.house_rules.en } },
    { rules: { version: '1' } },
    { rules: { version: '1', en: { name: 'Rules', url: 'javascript:alert(1)' } } },
    { rules: { version: '1', en: { name: '', url: 'https://example.org/' } } },
    { rules: { version: '1', en: 'Rules' } },
    { rules: { version: '1', 'not a language': policies.house_rules.en } },
    { rules: { en: policies.house_rules.en } },
  ])('refuses %j', async (wrong) => {
    expect(await root.api.put(TERMS, { policies: wrong })).toMatchObject({ status: 400 })
    expect((await root.api.get(TERMS)).body).toEqual({ policies })
  })

  it('asks nobody any more once there are none', async () => {
    await root.api.put(TERMS, { policies: {} })
    const { body } = await server.api().post(REGISTER, { username: 'later', password })
    expect(body).toMatchObject({ flows: [{ stages: ['m.login.dummy'] }], params: {} })
  })
})
