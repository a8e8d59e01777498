import { describe, expect, it } from 'vitest'
import { type FormBrowser, formBrowser } from '../../support/form-browser.ts'
import { type MailHome, startMailHome } from '../../support/mail-home.ts'
import { startTestServer } from '../../support/test-server.ts'

const password = 'password of anna'

async function signedIn(home: MailHome): Promise<FormBrowser> {
  await home.server.register('anna')
  const browser = formBrowser(home.server.baseUrl)
  await browser.get('/account/addresses')
  expect((await browser.submit('/oauth/login', { username: 'anna', password })).url).toMatch(/\/account\/addresses$/)
  return browser
}

/** Adds an address on the page. */
async function withAddress(home: MailHome): Promise<FormBrowser> {
  const browser = await signedIn(home)
  await browser.submit('/addresses', { email: 'anna@example.org' })
  await home.openLink()
  expect((await browser.submit('/addresses', { password })).text).toContain('anna@example.org')
  return browser
}

describe('the e-mail addresses of the account page', () => {
  it('are added once the link was opened and the password given, and are removed', async () => {
    await using home = await startMailHome()
    const browser = await signedIn(home)
    expect((await browser.submit('/addresses', { email: 'nonsense' })).text).toContain('not an e-mail address')
    expect((await browser.submit('/addresses', { email: 'anna@example.org' })).text).toContain('on its way')
    expect((await browser.submit('/addresses', { password })).text).toContain('not been opened yet')
    await home.openLink()
    expect(await browser.submit('/addresses', { password: 'wrong' })).toMatchObject({ status: 403 })
    const done = await browser.submit('/addresses', { password })
    expect(done).toMatchObject({ status: 200, text: expect.stringContaining('anna@example.org') })
    expect(done.html).toContain('aria-label="Remove: anna@example.org"')
    const removed = await browser.submit('/addresses')
    expect(removed.text).toContain('Saved.')
    expect(removed.text).not.toContain('anna@example.org')
  })

  it('set a new password, for whoever has forgotten it', async () => {
    await using home = await startMailHome()
    const owner = await withAddress(home)
    const browser = formBrowser(home.server.baseUrl, 'de')
    expect((await browser.get('/oauth/login')).html).toContain('/oauth/forgot-password')
    await browser.get('/oauth/forgot-password')
    await browser.submit('/forgot-password', { email: 'Anna@example.org' })
    const early = await browser.submit('/forgot-password', { new_password: 'a new password' })
    expect(early).toMatchObject({ status: 400, text: expect.stringContaining('noch nicht geöffnet') })
    expect(home.newest().text).toContain('@anna:hearth.test')
    await home.openLink()
    expect((await browser.submit('/forgot-password', { new_password: 'short' })).status).toBe(400)
    expect((await browser.submit('/forgot-password', { new_password: 'a new password' })).text).toContain('geändert')
    expect((await owner.get('/account')).title, 'all browsers are signed out').toContain('Sign in')
    const login = await owner.submit('/oauth/login', { username: 'anna@example.org', password: 'a new password' })
    expect(login.text).toContain('@anna:hearth.test')
  })

  it('look the same for an address of nobody', async () => {
    await using home = await startMailHome()
    const browser = formBrowser(home.server.baseUrl)
    await browser.get('/oauth/forgot-password')
    expect((await browser.submit('/forgot-password', { email: 'nobody@example.org' })).text).toContain('on its way')
    expect(home.newest().link).toBeUndefined()
    expect((await browser.submit('/forgot-password', { new_password: 'a new password' })).status).toBe(400)
  })

  it('are not offered where no mail can be sent', async () => {
    await using server = await startTestServer()
    const browser = formBrowser(server.baseUrl)
    expect((await browser.get('/oauth/login')).html).not.toContain('forgot-password')
    await browser.get('/oauth/forgot-password')
    expect((await browser.submit('/forgot-password', { email: 'anna@example.org' })).status).toBe(403)
  })
})

describe('the e-mail address of a new account', () => {
  const username = 'berta'
  const own = 'password of berta'
  const begin = async (home: MailHome): Promise<FormBrowser> => {
    const browser = formBrowser(home.server.baseUrl)
    expect((await browser.get('/oauth/new-account')).html).toContain('type="email"')
    return browser
  }

  it('belongs to the account once the link was confirmed with its password', async () => {
    await using home = await startMailHome()
    const browser = await begin(home)
    const made = await browser.submit('/new-account', { username, password: own, email: 'Berta@example.org' })
    expect(made).toMatchObject({ status: 200, text: expect.stringContaining('on its way to Berta@example.org') })
    expect((await browser.get('/account')).text, 'signed in without waiting for the mail').toContain(
      '@berta:hearth.test',
    )
    expect((await browser.get('/account/addresses')).text).not.toContain('berta@example.org')

    const mailbox = formBrowser(home.server.baseUrl)
    const link = home.newest().link ?? ''
    expect((await mailbox.get(link)).html).toContain('value="@berta:hearth.test"')
    const guessed = await mailbox.submit('/submit_token', { password: 'a guess' })
    expect(guessed.status).toBe(403)
    expect((await browser.get('/account/addresses')).text).not.toContain('berta@example.org')
    expect((await mailbox.submit('/submit_token', { password: own })).text).toContain('Done')
    expect((await browser.get('/account/addresses')).text).toContain('berta@example.org')
    await mailbox.get(link)
    expect((await mailbox.submit('/submit_token', { password: own })).text, 'again').toContain('Done')
    const login = formBrowser(home.server.baseUrl)
    await login.get('/oauth/login')
    const signedInBy = await login.submit('/oauth/login', { username: 'berta@example.org', password: own })
    expect(signedInBy.text).toContain('@berta:hearth.test')
  })

  it('may be left out, and makes no account where it is none', async () => {
    await using home = await startMailHome()
    const browser = await begin(home)
    const wrong = await browser.submit('/new-account', { username, password: own, email: 'nonsense' })
    expect(wrong).toMatchObject({ status: 400, text: expect.stringContaining('not an e-mail address') })
    expect(wrong.html).toContain('value="nonsense"')
    const made = await browser.submit('/new-account', { username, password: own, email: '' })
    expect(made.text).toContain('@berta:hearth.test')
    expect(home.count).toBe(0)
  })

  it("tells nobody on the page that it is another's", async () => {
    await using home = await startMailHome()
    await withAddress(home)
    const browser = await begin(home)
    const made = await browser.submit('/new-account', { username, password: own, email: 'anna@example.org' })
    expect(made.text).toContain('on its way')
    expect(home.newest().link).toBeUndefined()
    expect(home.newest().text).toContain('@anna:hearth.test')
  })

  it('is not asked for where no mail can be sent', async () => {
    await using server = await startTestServer()
    const browser = formBrowser(server.baseUrl)
    expect((await browser.get('/oauth/new-account')).html).not.toContain('type="email"')
    const made = await browser.submit('/new-account', { username, password: own, email: 'berta@example.org' })
    expect(made.text).toContain('@berta:hearth.test')
  })

  it('leaves the account where the mail could not be sent, and says so', async () => {
    const gone = { smtp_url: 'smtp://127.0.0.1:1', from: 'Home <home@example.org>' }
    await using server = await startTestServer({ config: { mail: gone } })
    const browser = formBrowser(server.baseUrl)
    await browser.get('/oauth/new-account')
    const made = await browser.submit('/new-account', { username, password: own, email: 'berta@example.org' })
    expect(made).toMatchObject({ status: 200, text: expect.stringContaining('No mail could be sent') })
    expect((await browser.get('/account')).text).toContain('@berta:hearth.test')
  })
})
