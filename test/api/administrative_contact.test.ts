import { describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { formBrowser } from '../support/form-browser.ts'
import { keptStore } from '../support/kept-store.ts'
import { type MailHome, startMailHome } from '../support/mail-home.ts'
import { manualClock } from '../support/manual-clock.ts'
import { startSmtp } from '../support/smtp-server.ts'
import { type Person, startTestServer } from '../support/test-server.ts'

const THREEPIDS = '/_matrix/client/v3/account/3pid'
const ADD_MAIL = `${THREEPIDS}/email/requestToken`
const REGISTER_MAIL = '/_matrix/client/v3/register/email/requestToken'
const RESET_MAIL = '/_matrix/client/v3/account/password/email/requestToken'
const LOGIN = '/_matrix/client/v3/login'

const passwordOf = (name: string) => `password of ${name}`
const authOf = (name: string) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: name },
  password: passwordOf(name),
})
const logIn = (home: MailHome, address: string, password: string) =>
  home.server.api().post(LOGIN, {
    type: 'm.login.password',
    identifier: { type: 'm.id.thirdparty', medium: 'email', address },
    password,
  })

async function addMail(home: MailHome, person: Person, name: string, email: string): Promise<void> {
  const session = await home.ask(ADD_MAIL, email)
  await home.openLink()
  const reply = await person.api.post(`${THREEPIDS}/add`, { ...session, auth: authOf(name) })
  if (reply.status !== 200) throw new Error(`not added: ${JSON.stringify(reply.body)}`)
}

describe('client-server-api §Adding Account Administrative Contact Information', () => {
  it('adds an address once the link in the mail was opened and the password given', async () => {
    const clock = manualClock()
    await using home = await startMailHome({ clock })
    const anna = await home.server.register('anna')
    const session = await home.ask(ADD_MAIL, 'Anna@Example.org')
    expect(home.newest()).toMatchObject({ to: 'anna@example.org', text: expect.stringContaining('hearth.test') })
    const add = (auth?: object) => anna.api.post(`${THREEPIDS}/add`, { ...session, ...(auth && { auth }) })
    expect(await add()).toMatchObject({ status: 400, body: { errcode: 'M_THREEPID_AUTH_FAILED' } })
    expect((await home.openLink()).text).toContain('You can close this page')
    expect(await add()).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
    expect((await add(authOf('anna'))).status).toBe(200)
    const now = clock.now()
    expect((await anna.api.get(THREEPIDS)).body).toEqual({
      threepids: [{ medium: 'email', address: 'anna@example.org', validated_at: now, added_at: now }],
    })
    expect(await logIn(home, ' ANNA@example.ORG'.trim(), passwordOf('anna'))).toMatchObject({
      status: 200,
      body: { user_id: anna.userId },
    })
    expect((await logIn(home, 'anna@example.org', 'wrong')).status).toBe(403)
  })

  it('does nothing when a program opens the link', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    const session = await home.ask(ADD_MAIL, 'anna@example.org')
    expect((await formBrowser(home.server.baseUrl).get(home.newest().link ?? '')).status).toBe(200)
    expect(await anna.api.post(`${THREEPIDS}/add`, { ...session, auth: authOf('anna') })).toMatchObject({
      body: { errcode: 'M_THREEPID_AUTH_FAILED' },
    })
  })

  it('lets a session serve only whoever has its secret, only for its purpose, and only once', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    const session = await home.ask(ADD_MAIL, 'anna@example.org')
    await home.openLink()
    const wrong = { ...session, client_secret: 'guess', auth: authOf('anna') }
    expect((await anna.api.post(`${THREEPIDS}/add`, wrong)).body.errcode).toBe('M_THREEPID_AUTH_FAILED')
    const registering = await home.server.api().post('/_matrix/client/v3/register', {
      username: 'other',
      password: passwordOf('other'),
      auth: { type: 'm.login.email.identity', threepid_creds: session },
    })
    expect(registering).toMatchObject({ status: 401, body: { errcode: 'M_THREEPID_AUTH_FAILED' } })
    expect((await anna.api.post(`${THREEPIDS}/add`, { ...session, auth: authOf('anna') })).status).toBe(200)
    const again = await anna.api.post(`${THREEPIDS}/add`, { ...session, auth: authOf('anna') })
    expect(again.body.errcode).toBe('M_THREEPID_AUTH_FAILED')
  })

  it('answers the same for an address in use, and tells its owner by mail', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    await addMail(home, anna, 'anna', 'anna@example.org')
    for (const path of [ADD_MAIL, REGISTER_MAIL]) {
      const session = await home.ask(path, 'anna@example.org')
      expect(session.sid).toMatch(/^[0-9a-zA-Z.=_-]{1,255}$/)
      expect(home.newest().text).toContain(anna.userId)
      expect(home.newest().link).toBeUndefined()
    }
    const session = await home.ask(RESET_MAIL, 'nobody@example.org')
    expect(session.sid).toMatch(/^[0-9a-zA-Z.=_-]{1,255}$/)
    expect(home.newest()).toMatchObject({ to: 'nobody@example.org', link: undefined })
  })

  it('gives an address to one account when two have opened links', async () => {
    await using home = await startMailHome()
    const people = [await home.server.register('anna'), await home.server.register('ben')] as const
    const sessions: object[] = []
    for (const _ of people) {
      sessions.push(await home.ask(ADD_MAIL, 'both@example.org'))
      await home.openLink()
    }
    const add = (i: 0 | 1, name: string) =>
      people[i].api.post(`${THREEPIDS}/add`, { ...sessions[i], auth: authOf(name) })
    const replies = await Promise.all([add(0, 'anna'), add(1, 'ben')])
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 400])
    expect(replies.find(({ status }) => status === 400)?.body.errcode).toBe('M_THREEPID_IN_USE')
  })

  it('takes addresses that look different for one, and sends to that one', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    await addMail(home, anna, 'anna', 'Strauß@Example.org')
    expect((await anna.api.get(THREEPIDS)).body).toMatchObject({ threepids: [{ address: 'strauss@example.org' }] })
    await home.ask(RESET_MAIL, 'STRAUß@example.org')
    expect(home.newest()).toMatchObject({ to: 'strauss@example.org', text: expect.stringContaining(anna.userId) })
  })

  it('removes an address, which then is free', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    const ben = await home.server.register('ben')
    await addMail(home, anna, 'anna', 'anna@example.org')
    const gone = { medium: 'email', address: 'ANNA@example.org' }
    expect((await ben.api.post(`${THREEPIDS}/delete`, gone)).status).toBe(200)
    expect((await anna.api.get(THREEPIDS)).body).toMatchObject({ threepids: [{}] })
    expect(await anna.api.post(`${THREEPIDS}/delete`, gone)).toMatchObject({
      status: 200,
      body: { id_server_unbind_result: 'no-support' },
    })
    expect((await anna.api.get(THREEPIDS)).body).toEqual({ threepids: [] })
    expect((await logIn(home, 'anna@example.org', passwordOf('anna'))).status).toBe(403)
    await addMail(home, ben, 'ben', 'anna@example.org')
  })

  it('tells nobody the addresses of another user', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    const ben = await home.server.register('ben')
    await addMail(home, anna, 'anna', 'secret@example.org')
    const own = encodeURIComponent(anna.userId)
    const search = { search_term: 'secret@example.org' }
    const answers = [
      await ben.api.get(THREEPIDS),
      await ben.api.get(THREEPIDS, { user_id: anna.userId }),
      await ben.api.get(`/_matrix/client/v3/profile/${own}`),
      await ben.api.get(`/_matrix/client/v3/admin/whois/${own}`),
      await ben.api.post('/_matrix/client/v3/user_directory/search', search),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 403, 200])
    expect(answers.map(({ body }) => JSON.stringify(body)).join()).not.toContain('secret@')
    expect(answers.at(-1)?.body).toMatchObject({ results: [] })
  })

  it('lets the suspended add addresses, but not remove them', async () => {
    await using home = await startMailHome()
    const root = await registerAdmin(home.server, 'root')
    const anna = await home.server.register('anna')
    await root.api.put(`/_matrix/client/v1/admin/suspend/${encodeURIComponent(anna.userId)}`, { suspended: true })
    await addMail(home, anna, 'anna', 'anna@example.org')
    const gone = { medium: 'email', address: 'anna@example.org' }
    expect(await anna.api.post(`${THREEPIDS}/delete`, gone)).toMatchObject({
      status: 403,
      body: { errcode: 'M_USER_SUSPENDED' },
    })
  })

  it('forgets the addresses of a deactivated account', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    await addMail(home, anna, 'anna', 'anna@example.org')
    await anna.api.post('/_matrix/client/v3/account/deactivate', { auth: authOf('anna') })
    const ben = await home.server.register('ben')
    await addMail(home, ben, 'ben', 'anna@example.org')
  })

  it('sends a mail once for each send_attempt, with a link that is good for an hour', async () => {
    const clock = manualClock()
    await using home = await startMailHome({ clock })
    const { sid } = await home.ask(ADD_MAIL, 'anna@example.org', { client_secret: 'same' })
    const old = home.newest().link ?? ''
    expect(await home.ask(ADD_MAIL, 'anna@example.org', { client_secret: 'same' })).toMatchObject({ sid })
    expect(home.count).toBe(1)
    expect(await home.ask(ADD_MAIL, 'anna@example.org', { client_secret: 'same', send_attempt: 2 })).toMatchObject({
      sid,
    })
    expect(home.count).toBe(2)
    const browser = formBrowser(home.server.baseUrl)
    expect((await browser.get(old)).status, 'the newest link counts').toBe(404)
    const link = home.newest().link ?? ''
    expect((await browser.get(link)).status).toBe(200)
    clock.advance(60 * 60_000)
    expect((await browser.submit('/submit_token')).status).toBe(404)
    expect((await browser.get(link)).status).toBe(404)
  })

  it('sends people on to next_link after they have confirmed, and says where', async () => {
    await using home = await startMailHome()
    await home.ask(ADD_MAIL, 'anna@example.org', { next_link: 'https://app.example.org/#/done?x=1' })
    const browser = formBrowser(home.server.baseUrl)
    const page = await browser.get(home.newest().link ?? '')
    expect(page.text).toContain('app.example.org')
    expect(page.leftFor).toBeUndefined()
    expect((await browser.submit('/submit_token')).leftFor?.href).toBe('https://app.example.org/#/done?x=1')
  })

  it.each([
    { next_link: 'javascript:alert(1)' },
    { next_link: 'ftp://example.org/' },
    { next_link: '/relative' },
    { next_link: 'https://example.org/ x' },
    { client_secret: 'no spaces' },
    { client_secret: '' },
    { email: 'anna' },
    { email: 'anna@example.org, eve@example.org' },
    { email: 'Anna <anna@example.org>' },
  ])('refuses %j with M_INVALID_PARAM', async (wrong) => {
    await using home = await startMailHome()
    const body = { email: 'anna@example.org', client_secret: 's', send_attempt: 1, ...wrong }
    for (const path of [ADD_MAIL, REGISTER_MAIL, RESET_MAIL]) {
      expect(await home.server.api().post(path, body)).toMatchObject({
        status: 400,
        body: { errcode: 'M_INVALID_PARAM' },
      })
    }
    expect(home.count).toBe(0)
  })

  it('fills nobody`s mailbox', async () => {
    await using home = await startMailHome({ config: { rate_limits: { enabled: true } } })
    const ask = (i: number) => home.ask(i % 2 ? ADD_MAIL : RESET_MAIL, 'anna@example.org')
    for (let i = 0; i < 5; i += 1) await ask(i)
    await expect(ask(5)).rejects.toThrow('M_LIMIT_EXCEEDED')
    expect(home.count).toBe(5)
  })

  it('says the same of any address when the mail cannot be sent, and sends it when asked again', async () => {
    const { port } = await startSmtp()
    const mail = { smtp_url: 'smtp://127.0.0.1:9', from: 'home@example.org' }
    const openStore = keptStore()
    const body = { email: 'anna@example.org', client_secret: 'same', send_attempt: 1 }
    {
      await using server = await startTestServer({ openStore, config: { mail } })
      for (const path of [ADD_MAIL, REGISTER_MAIL, RESET_MAIL]) {
        expect(await server.api().post(path, body)).toMatchObject({ status: 502, body: { errcode: 'M_UNKNOWN' } })
      }
      expect(server.complaints).toContainEqual(expect.objectContaining({ event: 'identity.mail_not_sent' }))
      expect(JSON.stringify(server.complaints)).not.toContain('anna@')
    }
    const config = { mail: { ...mail, smtp_url: `smtp://127.0.0.1:${port}` } }
    await using server = await startTestServer({ openStore, config })
    expect((await server.api().post(ADD_MAIL, body)).status).toBe(200)
  })

  it('answers 403 where a password comes with an address that nobody has, and tells nothing of those that somebody has', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    await addMail(home, anna, 'anna', 'anna@example.org')
    const path = `/_matrix/client/v3/devices/${anna.deviceId}`
    const { body } = await anna.api.delete(path)
    const prove = (address: string, password: string) => {
      const identifier = { type: 'm.id.thirdparty', medium: 'email', address }
      const auth = { type: 'm.login.password', identifier, password, session: body.session }
      return anna.api.delete(path, { auth })
    }
    const unknown = await prove('nobody@example.org', passwordOf('anna'))
    expect(unknown).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await prove('anna@example.org', 'wrong')).toMatchObject({ status: 403, body: unknown.body })
    expect((await prove('anna@example.org', passwordOf('anna'))).status).toBe(200)
  })

  it('counts guesses at the password by address as by name', async () => {
    await using home = await startMailHome({ config: { rate_limits: { enabled: true } } })
    const statuses: number[] = []
    for (let i = 0; i < 12; i += 1) statuses.push((await logIn(home, 'nobody@example.org', 'guess')).status)
    expect(statuses).toContain(403)
    expect(statuses.at(-1)).toBe(429)
  })
})

describe('a home that sends no mail', () => {
  it('offers nothing that would need it, and says so', async () => {
    await using server = await startTestServer()
    const anna = await server.register('anna')
    const body = { email: 'anna@example.org', client_secret: 's', send_attempt: 1 }
    expect(await server.api().post(ADD_MAIL, body)).toMatchObject({
      status: 400,
      body: { errcode: 'M_THREEPID_MEDIUM_NOT_SUPPORTED' },
    })
    for (const path of [REGISTER_MAIL, RESET_MAIL]) {
      expect(await server.api().post(path, body)).toMatchObject({ status: 403, body: { errcode: 'M_THREEPID_DENIED' } })
    }
    const { body: register } = await server
      .api()
      .post('/_matrix/client/v3/register', { username: 'x', password: 'x'.repeat(9) })
    expect(register.flows).toEqual([{ stages: ['m.login.dummy'] }])
    const { body: change } = await anna.api.post('/_matrix/client/v3/account/password', { new_password: 'x'.repeat(9) })
    expect(change.flows).toEqual([{ stages: ['m.login.password'] }])
    expect((await anna.api.get('/_matrix/client/v3/capabilities')).body).toMatchObject({
      capabilities: { 'm.3pid_changes': { enabled: false } },
    })
    expect((await anna.api.get(THREEPIDS)).body).toEqual({ threepids: [] })
  })

  it('can reach no phone, and trusts no identity server', async () => {
    await using server = await startTestServer()
    const anna = await server.register('anna')
    const phone = { country: 'GB', phone_number: '07700900001', client_secret: 's', send_attempt: 1 }
    const post = async (path: string, body: object) => {
      const { status, body: reply } = await anna.api.post(`/_matrix/client/v3${path}`, body)
      return [status, reply.errcode]
    }
    expect(await post('/account/3pid/msisdn/requestToken', phone)).toEqual([400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED'])
    expect(await post('/register/msisdn/requestToken', phone)).toEqual([403, 'M_THREEPID_DENIED'])
    expect(await post('/account/password/msisdn/requestToken', phone)).toEqual([403, 'M_THREEPID_DENIED'])
    const creds = { client_secret: 's', sid: '1', id_server: 'id.example.org', id_access_token: 't' }
    expect(await post('/account/3pid/bind', creds)).toEqual([400, 'M_SERVER_NOT_TRUSTED'])
    expect(await post('/account/3pid', { three_pid_creds: creds })).toEqual([403, 'M_THREEPID_AUTH_FAILED'])
    const unbind = { medium: 'email', address: 'anna@example.org' }
    expect((await anna.api.post('/_matrix/client/v3/account/3pid/unbind', unbind)).body).toEqual({
      id_server_unbind_result: 'no-support',
    })
  })
})

describe('client-server-api §Email-based (identity / homeserver)', () => {
  const register = (home: MailHome, username: string, auth: object, more: object = {}) =>
    home.server.api().post('/_matrix/client/v3/register', { username, password: passwordOf(username), ...more, auth })

  it('registers with an address, which is the account`s from then on', async () => {
    await using home = await startMailHome()
    const first = await home.server
      .api()
      .post('/_matrix/client/v3/register', { username: 'anna', password: passwordOf('anna') })
    expect(first.body.flows).toEqual([{ stages: ['m.login.dummy'] }, { stages: ['m.login.email.identity'] }])
    const threepid_creds = await home.ask(REGISTER_MAIL, 'anna@example.org')
    const auth = { type: 'm.login.email.identity', threepid_creds, session: first.body.session }
    expect(await register(home, 'anna', auth)).toMatchObject({
      status: 401,
      body: { errcode: 'M_THREEPID_AUTH_FAILED' },
    })
    await home.openLink()
    expect(await register(home, 'anna', auth)).toMatchObject({ status: 200, body: { user_id: '@anna:hearth.test' } })
    expect((await logIn(home, 'anna@example.org', passwordOf('anna'))).status).toBe(200)
    expect((await register(home, 'ben', { ...auth, session: undefined })).status, 'the link has served').toBe(401)
  })

  it('makes no account with an address that has become another`s meanwhile', async () => {
    await using home = await startMailHome()
    const threepid_creds = await home.ask(REGISTER_MAIL, 'anna@example.org')
    await home.openLink()
    await addMail(home, await home.server.register('ben'), 'ben', 'anna@example.org')
    const auth = { type: 'm.login.email.identity', threepid_creds }
    expect(await register(home, 'anna', auth)).toMatchObject({ status: 400, body: { errcode: 'M_THREEPID_IN_USE' } })
    expect((await home.server.api().get('/_matrix/client/v3/register/available', { username: 'anna' })).status).toBe(
      200,
    )
  })
})

describe('a password that was forgotten', () => {
  const change = (home: MailHome, new_password: string, threepid_creds: object) =>
    home.server.api().post('/_matrix/client/v3/account/password', {
      new_password,
      auth: { type: 'm.login.email.identity', threepid_creds },
    })

  it('is set anew by whoever opens the link in the mail, once', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    await addMail(home, anna, 'anna', 'anna@example.org')
    const creds = await home.ask(RESET_MAIL, 'anna@example.org')
    expect(home.newest().text).toContain(anna.userId)
    expect((await change(home, 'a new password', creds)).status).toBe(401)
    await home.openLink()
    expect((await change(home, 'a new password', creds)).status).toBe(200)
    expect((await logIn(home, 'anna@example.org', 'a new password')).status).toBe(200)
    expect((await logIn(home, 'anna@example.org', passwordOf('anna'))).status).toBe(403)
    expect((await anna.api.get('/_matrix/client/v3/account/whoami')).status, 'all devices are logged out').toBe(401)
    expect((await change(home, 'one more password', creds)).status).toBe(401)
  })

  it('is not set by a link for something else, nor for an address of nobody', async () => {
    await using home = await startMailHome()
    const anna = await home.server.register('anna')
    const adding = await home.ask(ADD_MAIL, 'anna@example.org')
    await home.openLink()
    expect((await anna.api.post(`${THREEPIDS}/add`, { ...adding, auth: authOf('anna') })).status).toBe(200)
    expect((await change(home, 'a new password', adding)).status).toBe(401)
    expect((await change(home, 'a new password', await home.ask(RESET_MAIL, 'nobody@example.org'))).status).toBe(401)
  })

  it('is not that of another than whose token is sent along', async () => {
    await using home = await startMailHome()
    await addMail(home, await home.server.register('anna'), 'anna', 'anna@example.org')
    const eve = await home.server.register('eve')
    const threepid_creds = await home.ask(RESET_MAIL, 'anna@example.org')
    await home.openLink()
    const auth = { type: 'm.login.email.identity', threepid_creds }
    expect(
      await eve.api.post('/_matrix/client/v3/account/password', { new_password: 'eve was here', auth }),
    ).toMatchObject({
      status: 401,
    })
  })

  it('lets people sign in to the pages with their address', async () => {
    await using home = await startMailHome()
    await addMail(home, await home.server.register('anna'), 'anna', 'anna@example.org')
    const browser = formBrowser(home.server.baseUrl)
    await browser.get('/account')
    const page = await browser.submit('/oauth/login', { username: 'Anna@example.org', password: passwordOf('anna') })
    expect(page.text).toContain('@anna:hearth.test')
  })
})
