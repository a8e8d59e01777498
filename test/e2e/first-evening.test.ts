import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leavePicturesOfFailures } from './support/failed-pictures.ts'
import { type HomeProcess, SERVER_NAME, startHomeProcess } from './support/home-process.ts'
import { expectAccessible } from './support/look.ts'
import {
  acceptInvite,
  claimHome,
  type Device,
  invite,
  makeRecoveryKey,
  makeRoom,
  message,
  openBrowser,
  openDevice,
  register,
  say,
  screenshot,
  signIn,
} from './support/people.ts'

const PICTURE = fileURLToPath(new URL('../../renderer/public/icon-512.png', import.meta.url))

describe('The first evening in a new home', () => {
  let browser: Browser
  let home: HomeProcess
  let anna: Device
  let ben: Device
  let recoveryKey: readonly string[]

  beforeAll(async () => {
    home = await startHomeProcess()
    browser = await openBrowser()
    anna = await openDevice(browser)
    ben = await openDevice(browser, { dark: true })
  })

  leavePicturesOfFailures(() => ({ anna, ben }))

  afterAll(async () => {
    await browser?.close()
    await home?.[Symbol.asyncDispose]()
  })

  it('lets the first person name the home, and gives them a recovery key', async () => {
    await anna.page.goto(home.url())
    await anna.page.getByRole('heading', { name: 'Name your home' }).waitFor()
    await screenshot(anna.page, '01-name-your-home')
    await expectAccessible(anna.page)
    await claimHome(anna.page, home.url(), await home.claimCode(), 'Lindenhof', 'anna')
    await screenshot(anna.page, '02-why-a-recovery-key')
    await expectAccessible(anna.page)
    recoveryKey = await makeRecoveryKey(anna.page)
    expect(recoveryKey).toHaveLength(12)
    await anna.page.getByRole('heading', { name: 'Lindenhof' }).waitFor()
    await screenshot(anna.page, '03-a-quiet-house')
    await expectAccessible(anna.page)
  })

  it('lets a second person make an account', async () => {
    await register(ben.page, home.url(), 'ben')
    await makeRecoveryKey(ben.page)
    await ben.page.getByRole('heading', { name: 'Lindenhof' }).waitFor()
  })

  it('makes an encrypted room, invites, joins, and each reads the other', async () => {
    await makeRoom(anna.page, 'Kitchen table', 'Dinner, shopping, who feeds the cat')
    await anna.page.getByRole('img', { name: /Locked end to end/ }).waitFor()
    await invite(anna.page, `@ben:${SERVER_NAME}`)
    await ben.page.getByText('anna invites you').waitFor()
    await screenshot(ben.page, '04-an-invitation')
    await expectAccessible(ben.page)
    await acceptInvite(ben.page, 'Kitchen table')
    await anna.page.getByText('ben came in').waitFor()

    const seen = ben.page.waitForResponse(/\/sync/)
    await say(anna.page, 'Soup is on at **seven**. Bring bread!')
    await seen
    await message(ben.page, 'Soup is on at seven.').waitFor()
    expect(await message(ben.page, 'Soup is on').locator('strong').textContent()).toBe('seven')
    await say(ben.page, 'On my way: https://example.org/bakery')
    await message(anna.page, 'On my way').waitFor()
    expect(await message(anna.page, 'On my way').getByRole('link').getAttribute('href')).toBe(
      'https://example.org/bakery',
    )
  })

  it('sends nothing readable to the server', async () => {
    const sent = anna.page.waitForRequest((request) => request.method() === 'PUT' && request.url().includes('/send/'))
    await say(anna.page, 'the key is under the third flowerpot')
    const request = await sent
    expect(request.url()).toContain('/send/m.room.encrypted/')
    expect(request.postData()).not.toContain('flowerpot')
    await message(ben.page, 'flowerpot').waitFor()
  })

  it('shows who is writing, and who has read', async () => {
    await ben.page.bringToFront()
    await ben.page.getByTestId('composer').pressSequentially('I will feed', { delay: 15 })
    await anna.page.getByTestId('typing').getByText('ben is writing').waitFor()
    await screenshot(anna.page, '05-ben-is-writing')
    await ben.page.getByTestId('composer').press('Enter')
    await message(anna.page, 'I will feed').waitFor()
    await anna.page.getByTestId('typing').getByText('ben is writing').waitFor({ state: 'detached' })

    await anna.page.bringToFront()
    await say(anna.page, 'Thank you!')
    await ben.page.bringToFront()
    await message(ben.page, 'Thank you!').waitFor()
    await message(anna.page, 'Thank you!').getByRole('img', { name: 'Read by ben' }).waitFor()
  })

  it('sends a picture, encrypted, and shows it large', async () => {
    await anna.page.bringToFront()
    const uploaded = anna.page.waitForRequest(
      (request) => request.method() === 'POST' && request.url().includes('/upload'),
    )
    const chooser = anna.page.waitForEvent('filechooser')
    await anna.page.getByRole('button', { name: 'Add a picture or a file' }).click()
    await (await chooser).setFiles(PICTURE)
    await anna.page.getByTestId('composer').fill('Our new sign')
    await anna.page.getByTestId('composer').press('Enter')
    const bytes = (await uploaded).postDataBuffer()
    expect(bytes?.subarray(0, 8).equals(readFileSync(PICTURE).subarray(0, 8))).toBe(false)

    const picture = ben.page.getByTestId('picture')
    await picture.waitFor()
    await expect.poll(() => picture.evaluate((image) => (image as HTMLImageElement).naturalWidth)).toBe(512)
    await message(ben.page, 'Our new sign').waitFor()
    await screenshot(anna.page, '06-the-room-by-day')
    await screenshot(ben.page, '07-the-room-by-night')
    await expectAccessible(anna.page)
    await expectAccessible(ben.page)
    await ben.page.getByRole('button', { name: 'Look at icon-512.png' }).click()
    await ben.page.getByRole('dialog').getByRole('img').waitFor()
    await ben.page.keyboard.press('Escape')
    await ben.page.getByRole('dialog').waitFor({ state: 'detached' })
  })

  it('opens the history on another device with the recovery key', async () => {
    await using laptop = await openDevice(browser)
    const { page } = laptop
    await signIn(page, home.url(), 'anna')
    await page.getByRole('heading', { name: 'Bring your messages here' }).waitFor()
    await screenshot(page, '08-asks-for-the-key')
    await expectAccessible(page)

    await page.getByRole('textbox', { name: 'Recovery key' }).fill(`${recoveryKey.slice(0, 11).join(' ')} aaaa`)
    await page.getByRole('button', { name: 'Open my messages' }).click()
    await page.getByText('That is not the recovery key of this account.').waitFor()

    // what was typed is still there, to be mended
    expect(await page.getByRole('textbox', { name: 'Recovery key' }).inputValue()).toContain(recoveryKey[10])
    await page.getByRole('textbox', { name: 'Recovery key' }).fill(recoveryKey.join(' '))
    await page.getByRole('button', { name: 'Open my messages' }).click()
    await page.getByRole('heading', { name: 'Everything is here' }).waitFor()
    await page.getByRole('button', { name: 'Go to my messages' }).click()
    await page.getByRole('link', { name: /Kitchen table/ }).click()
    await message(page, 'Soup is on').waitFor()
    await message(page, 'flowerpot').waitFor()
    await page.getByTestId('picture').waitFor()
    await screenshot(page, '09-history-on-the-laptop')
    expect(laptop.problems).toEqual([])

    await page.getByRole('link', { name: /Settings/ }).click()
    await page.getByText('this device is trusted').waitFor()
    await screenshot(page, '10-settings')
    await expectAccessible(page)
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByText('Your messages are kept safe.').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Welcome to Lindenhof' }).waitFor()
    expect(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('session')))).toEqual([])
  })

  it('works on a small phone', async () => {
    await anna.page.setViewportSize({ width: 360, height: 740 })
    await screenshot(anna.page, '11-the-room-on-a-phone')
    expect(await anna.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
    await expectAccessible(anna.page)
    await anna.page.getByRole('button', { name: 'Back to the rooms' }).click()
    await anna.page.getByRole('link', { name: /Kitchen table/ }).waitFor()
    await screenshot(anna.page, '12-the-rooms-on-a-phone')
    await expectAccessible(anna.page)
  })

  it('broke no rule of its own policy on the way', () => {
    expect(anna.problems).toEqual([])
    expect(ben.problems).toEqual([])
  })
})
