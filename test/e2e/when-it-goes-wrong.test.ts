import type { Browser, ElementHandle, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leavePicturesOfFailures } from './support/failed-pictures.ts'
import { type HomeProcess, SERVER_NAME, startHomeProcess } from './support/home-process.ts'
import {
  acceptInvite,
  type Device,
  invite,
  makeRecoveryKey,
  makeRoom,
  message,
  openBrowser,
  openDevice,
  PASSWORD,
  register,
  say,
  sessionOf,
  signIn,
} from './support/people.ts'

describe('When it goes wrong', () => {
  let browser: Browser
  let home: HomeProcess
  let anna: Device
  let ben: Device

  beforeAll(async () => {
    home = await startHomeProcess()
    browser = await openBrowser()
    anna = await openDevice(browser)
    ben = await openDevice(browser)
  })

  leavePicturesOfFailures(() => ({ anna, ben }))

  afterAll(async () => {
    await browser?.close()
    await home?.[Symbol.asyncDispose]()
  })

  it('keeps the name of the home when the first run is loaded anew, and asks for the code again when it was wrong', async () => {
    const { page } = anna
    await page.goto(`${home.url()}/#claim=AAAA-BBBB-CCCC`)
    await page.getByLabel('Name of the home').fill('Lindenhof')
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.reload()
    expect(await page.getByLabel('Name of the home').inputValue()).toBe('Lindenhof')
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByLabel('Choose a name').fill('anna')
    await page.getByLabel('Choose a password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Open Lindenhof' }).click()
    await page.getByText('That is not the code of this home.').waitFor()
  })

  it('says that the home does not answer in the first run, and goes on where it was', async () => {
    const { page } = anna
    await page.getByLabel('Code of the home').fill(await home.claimCode())
    await home.kill()
    await page.getByRole('button', { name: 'Open Lindenhof' }).click()
    await page.getByText('Your home does not answer.').waitFor()
    await home.start()
    // each start of an unclaimed home makes a code of its own
    await page.getByLabel('Code of the home').fill(await home.claimCode())
    await page.getByRole('button', { name: 'Open Lindenhof' }).click()
    await page.getByRole('button', { name: 'Make my recovery key' }).waitFor()
  })

  it('comes back to the recovery key when the page is loaded anew before it was made, or before it was kept', async () => {
    const { page } = anna
    await page.reload()
    await page.getByRole('button', { name: 'Make my recovery key' }).click()
    const first = await shownKey(page)
    await page.reload()
    const groups = await makeRecoveryKey(page)
    expect(groups).not.toEqual(first)
    await page.getByRole('heading', { name: 'Lindenhof' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Lindenhof' }).waitFor()
  })

  it('says that a name is taken, and that a word of welcome has run out', async () => {
    const { page } = ben
    const ask = { flows: [{ stages: ['m.login.registration_token'] }], params: {}, session: 's' }
    await page.route('**/v3/register', (route) => route.fulfill({ status: 401, json: ask }))
    await page.goto(home.url())
    await page.getByRole('button', { name: 'Create an account' }).click()
    await page.getByLabel('Choose a name').fill('anna')
    await page.getByText('That name is already taken.').waitFor()
    await page.getByLabel('Choose a name').fill('ben')
    await page.getByText('This name is free.').waitFor()
    await page.getByLabel('Choose a password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Create an account' }).click()
    await page.getByLabel('Word of welcome').fill('last-summer')
    await page.getByRole('button', { name: 'Create an account' }).click()
    await page.getByText('That word of welcome is not known here, or is no longer good.').waitFor()
    await page.unroute('**/v3/register')
    await register(page, home.url(), 'ben')
    await makeRecoveryKey(page)
  })

  it('offers a refused message again, or throws it away', async () => {
    const { page } = anna
    await makeRoom(page, 'Kitchen table')
    await invite(page, `@ben:${SERVER_NAME}`)
    await acceptInvite(ben.page, 'Kitchen table')
    const refused = { errcode: 'M_FORBIDDEN', error: 'no' }
    await page.route('**/send/**', (route) => route.fulfill({ status: 403, json: refused }))
    await say(page, 'first refused')
    await say(page, 'second refused')
    const first = message(page, 'first refused')
    const second = message(page, 'second refused')
    await second.getByText('Not sent: you may not write in this room.').waitFor()
    await page.unroute('**/send/**')
    // what was refused is still there, and still refused, after the page was loaded anew
    await page.reload()
    await second.getByRole('button', { name: 'Discard' }).click()
    await second.waitFor({ state: 'detached' })
    await first.getByRole('button', { name: 'Send again' }).click()
    await message(ben.page, 'first refused').waitFor()
    await page.locator('[data-state="sent"]', { hasText: 'first refused' }).waitFor()
    expect(await message(ben.page, 'second refused').count()).toBe(0)
  })

  it('says how large a file may be before it is sent', async () => {
    const { page } = anna
    await page.route('**/media/config', (route) => route.fulfill({ json: { 'm.upload.size': 1_000_000 } }))
    const chooser = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Add a picture or a file' }).click()
    await (await chooser).setFiles({ name: 'the-sea.png', mimeType: 'image/png', buffer: Buffer.alloc(1_000_001) })
    await page.getByText(/the-sea\.png.*1 ?MB/).waitFor()
  })

  it('lets one tab at a time have the messages open', async () => {
    const { page, context } = anna
    const second = await context.newPage()
    await second.goto(home.url())
    await second.getByRole('heading', { name: 'Hearth is open in another tab' }).waitFor()
    await second.getByRole('button', { name: 'Use it here' }).click()
    await second.getByRole('link', { name: /Kitchen table/ }).click()
    await message(second, 'first refused').waitFor()
    await page.getByRole('heading', { name: 'Hearth is open in another tab' }).waitFor()
    await second.close()
    await page.getByRole('button', { name: 'Use it here' }).click()
    await message(page, 'first refused').waitFor()
  })

  it('does not move what is being read while older messages are fetched', async () => {
    await makeOpenRoom(anna.page, 'Garden')
    await writeMany(anna.page, 130, (at) => `line ${at} ${'and more words '.repeat((at * 7) % 23)}.`)
    await anna.page.locator('[data-state="sent"]', { hasText: 'line 130 ' }).waitFor()

    // a browser that has read nothing yet, so that all but the newest has to be fetched
    await using laptop = await openDevice(browser)
    const { page } = laptop
    await signInWithoutKey(page, 'anna')
    let answer: () => void = () => undefined
    const isAnswered = new Promise<void>((resolve) => {
      answer = resolve
    })
    await page.route('**/messages?**', async (route) => {
      await isAnswered
      await route.continue()
    })
    const asked = page.waitForRequest(/\/messages\?/)
    await page.getByRole('link', { name: /Garden/ }).click()
    await message(page, 'line 130 ').waitFor()
    const scroller = page.getByRole('region', { name: 'Messages in Garden' })
    await scroller.hover()
    await page.mouse.wheel(0, -500)
    await asked
    const read = await message(page, 'line 122 ').elementHandle()
    const before = await settledTop(page, read)
    answer()
    const fetching = page.getByText('Fetching older messages…')
    await fetching.waitFor({ state: 'detached' })
    await expect.poll(() => scroller.evaluate((element) => element.scrollTop)).toBeGreaterThan(1_000)
    expect(Math.abs((await settledTop(page, read)) - before)).toBeLessThan(3)

    // and so on to the beginning
    const beginning = page.getByText('This is where Garden begins.')
    await expect
      .poll(
        async () => {
          await page.mouse.wheel(0, -2_000)
          return beginning.isVisible()
        },
        { timeout: 30_000 },
      )
      .toBe(true)
    expect(laptop.problems).toEqual([])
  })

  it('leaves nothing of a person behind in the browser that they sign out of', async () => {
    const { page } = ben
    await page.getByRole('link', { name: /Settings/ }).click()
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Your name or address').waitFor()
    await expect
      .poll(() => page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name)))
      .toEqual([])
    const kept = await page.evaluate(async () => [
      ...Object.keys(localStorage),
      // the router keeps where windows were scrolled to, which in ours is nowhere
      ...Object.keys(sessionStorage).filter((key) => sessionStorage.getItem(key) !== '{}'),
      ...(await caches.keys()),
      ...(await navigator.serviceWorker.getRegistrations()),
      document.cookie,
    ])
    expect(new URL(page.url()).hash).toBe('#/')
    expect(kept.filter((key) => key !== '' && key !== 'hearth.theme' && key !== 'hearth.language')).toEqual([])
  })

  it('threw nothing and wrote no error to the console', () => {
    expect(anna.problems).toEqual([])
    expect(ben.problems).toEqual([])
  })

  /** Writes into the open room, which is not locked, faster than a page can be typed into. */
  async function writeMany(page: Page, count: number, text: (at: number) => string): Promise<void> {
    const { accessToken } = await sessionOf(page)
    const room = page.url().split('/room/')[1] ?? ''
    for (let at = 1; at <= count; at++) {
      const answer = await fetch(`${home.url()}/_matrix/client/v3/rooms/${room}/send/m.room.message/many-${at}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ msgtype: 'm.text', body: text(at) }),
      })
      expect(answer.status).toBe(200)
    }
  }

  async function signInWithoutKey(page: Page, name: string): Promise<void> {
    await signIn(page, home.url(), name)
    await page.getByRole('button', { name: 'Skip for now' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Go on without it' }).click()
  }
})

async function makeOpenRoom(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'New', exact: true }).click()
  await page.getByRole('menuitem', { name: 'New room' }).click()
  await page.getByLabel('Name of the room').fill(name)
  await page.getByRole('switch', { name: 'Open to everyone at home' }).click()
  await page.getByRole('button', { name: 'Make the room' }).click()
  await page.getByRole('heading', { name: new RegExp(name) }).waitFor()
}

/** Where an element stands in the window, once two drawn frames in a row agree about it. */
async function settledTop(page: Page, element: ElementHandle | null): Promise<number> {
  return page.evaluate(
    (of) =>
      new Promise<number>((resolve) => {
        let last = Number.NaN
        const frame = (): void => {
          const { top } = (of as Element).getBoundingClientRect()
          if (top === last) resolve(top)
          else requestAnimationFrame(frame)
          last = top
        }
        frame()
      }),
    element,
  )
}

async function shownKey(page: Page): Promise<string[]> {
  const items = page.getByTestId('recovery-key').locator('li')
  await items.first().waitFor()
  return items.allTextContents()
}
