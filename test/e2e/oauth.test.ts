import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  authorizeUrl,
  discover,
  exchange,
  type Metadata,
  newFlow,
  postForm,
  REDIRECT_URI,
  registerClient,
  scopeFor,
  webClient,
} from '../support/oauth-client.ts'
import { type HomeProcess, SERVER_NAME, startHomeProcess } from './support/home-process.ts'
import { look } from './support/look.ts'
import { type Device, openBrowser, openDevice, PASSWORD } from './support/people.ts'

describe('Signing in to another app with this home’s own pages', () => {
  let home: HomeProcess
  let browser: Browser
  let anna: Device
  let metadata: Metadata
  let clientId: string
  /** Where the app waits for the browser to come back. */
  let app: Server
  let appUrl: string

  beforeAll(async () => {
    app = createServer((_, response) => response.end('the app')).listen(0, '127.0.0.1')
    await once(app, 'listening')
    appUrl = `http://127.0.0.1:${(app.address() as AddressInfo).port}/callback`
    home = await startHomeProcess()
    browser = await openBrowser()
    anna = await openDevice(browser)
    metadata = await discover(home.url())
    const links = { tos_uri: 'https://app.example.org/terms', policy_uri: 'https://app.example.org/privacy' }
    const said = { ...webClient, ...links, application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'] }
    clientId = (await registerClient(metadata, said)).body.client_id
  })

  afterAll(async () => {
    await browser?.close()
    app?.close()
    await home?.[Symbol.asyncDispose]()
  })

  it('makes an account, agrees, and is back in the app, with the keyboard alone', async () => {
    const { page } = anna
    const flow = newFlow(clientId, { prompt: 'create', redirect_uri: appUrl })
    await page.goto(authorizeUrl(metadata, flow))
    await page.getByRole('heading', { name: `Make an account on ${SERVER_NAME}` }).waitFor()
    await look(page, 'oauth-new-account')
    await page.keyboard.press('Tab')
    await page.keyboard.type('anna')
    await page.keyboard.press('Tab')
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press('Enter')

    await page.getByRole('heading', { name: 'Let Example use your account?' }).waitFor()
    await page.getByText(`@anna:${SERVER_NAME}`).waitFor()
    await look(page, 'oauth-consent')
    await page.getByRole('button', { name: 'Allow' }).focus()
    await page.keyboard.press('Enter')
    await page.waitForURL((url) => url.href.startsWith(`${appUrl}#`))
    const answer = new URLSearchParams(new URL(page.url()).hash.slice(1))
    expect(answer.get('state')).toBe(flow.parameters.state)
    const { status, body } = await exchange(metadata, flow, answer.get('code') ?? '')
    expect(status).toBe(200)
    expect(body.scope).toBe(scopeFor(flow.deviceId))
  })

  it('lets a device in that has no browser', async () => {
    const { page } = anna
    const begun = await postForm<{ device_code: string; user_code: string; verification_uri: string }>(
      metadata.device_authorization_endpoint,
      { client_id: clientId, scope: scopeFor('TELLY') },
    )
    await page.goto(begun.body.verification_uri)
    await look(page, 'oauth-link')
    await page.getByLabel('Code').fill(begun.body.user_code.toLowerCase())
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByText(begun.body.user_code).waitFor()
    await look(page, 'oauth-link-consent')
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.getByRole('heading', { name: 'The other device is signed in' }).waitFor()
    const granted = await postForm(metadata.token_endpoint, {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: begun.body.device_code,
      client_id: clientId,
    })
    expect(granted.status).toBe(200)
  })

  it('gives a login token to an app of the legacy API', async () => {
    // In a page of its own: nobody lives at the app's address, so where it leads to never loads.
    const page = await anna.context.newPage()
    const query = new URLSearchParams({ redirectUrl: REDIRECT_URI })
    await page.goto(`${home.url()}/_matrix/client/v3/login/sso/redirect?${query}`)
    await page.getByRole('heading', { name: 'Continue to app.example.org?' }).waitFor()
    await look(page, 'oauth-sso')
    const left = page.waitForRequest((request) => request.url().startsWith(`${REDIRECT_URI}?loginToken=`))
    await page.getByRole('button', { name: 'Continue' }).click()
    await left
    await page.close()
  })

  it('shows devices, signs one out, and says what else the account page can do', async () => {
    const { page } = anna
    await page.goto(metadata.account_management_uri)
    await look(page, 'oauth-account')
    await page.getByLabel('Display name').fill('Anna')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('status').getByText('Saved.').waitFor()
    await page.getByRole('link', { name: 'Devices' }).click()
    await look(page, 'oauth-devices')
    await page.getByRole('link', { name: /TELLY/ }).click()
    await look(page, 'oauth-device')
    await page.getByRole('link', { name: 'Sign this device out' }).click()
    await look(page, 'oauth-device-delete')
    await page.getByRole('button', { name: 'Sign this device out' }).click()
    await page.getByText('The device is signed out.').waitFor()
    expect(await page.getByText('TELLY').count()).toBe(0)
    for (const name of ['Reset encryption identity', 'Delete account']) {
      await page.getByRole('link', { name }).click()
      await look(page, `oauth-${name.split(' ', 1)[0]?.toLowerCase()}`)
    }
  })

  it('asks for the password again after a sign-out, and says what is wrong', async () => {
    const { page } = anna
    await page.getByRole('button', { name: 'Sign out of this page' }).click()
    await page.getByRole('heading', { name: `Sign in to ${SERVER_NAME}` }).waitFor()
    await page.getByLabel('Username').fill('anna')
    await page.getByLabel('Password').fill('not this one')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').getByText('do not fit together').waitFor()
    await look(page, 'oauth-login')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Profile' }).waitFor()
    expect(anna.problems).toEqual([])
  })
})
