import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leavePicturesOfFailures } from './support/failed-pictures.ts'
import { type HomeProcess, SERVER_NAME, startHomeProcess } from './support/home-process.ts'
import { look } from './support/look.ts'
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
  PASSWORD,
  register,
  say,
  signIn,
} from './support/people.ts'

const PICTURE = fileURLToPath(new URL('../../renderer/public/icon-512.png', import.meta.url))
const LONG =
  'Great-Aunt Wilhelmina Donaudampfschifffahrtsgesellschaftskapitänswitwe of the House by the Very Old Linden Trees'

describe('Every view, wide and narrow, by day and by night, from left and from right', () => {
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

  it('before anyone has signed in', async () => {
    const { page } = anna
    await page.route('**/versions', (route) => route.abort())
    await page.goto(home.url())
    await page.getByRole('heading', { name: 'No home answers here' }).waitFor()
    await look(page, '01-no-home')
    await page.unroute('**/versions')
    await page.getByRole('button', { name: 'Use another home' }).click()
    await page.getByLabel('Address of the home').fill('nobody lives here')
    await page.getByRole('button', { name: 'Go there' }).click()
    await page.getByText('No home answers at this address.').waitFor()
    await look(page, '02-another-home')
    await page.getByRole('button', { name: 'Use this home' }).click()
    await page.getByLabel('Name of the home').waitFor()
    await look(page, '03-name-your-home')
    await page.getByLabel('Name of the home').fill(LONG.slice(0, 80))
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByLabel('Choose a name').fill('Anna Ö')
    await page.getByLabel('Choose a password').fill('12345678')
    await page.getByText('That name cannot be used.').waitFor()
    await look(page, '04-your-account')
  })

  it('the recovery key', async () => {
    const { page } = anna
    await claimHome(page, home.url(), await home.claimCode(), 'Lindenhof', 'anna')
    await look(page, '05-why-a-key')
    await page.getByRole('button', { name: 'Not now' }).click()
    await page.getByRole('dialog').waitFor()
    await look(page, '06-without-a-key')
    await page.getByRole('dialog').getByRole('button', { name: 'Make my recovery key' }).click()
    const items = page.getByTestId('recovery-key').locator('li')
    await items.first().waitFor()
    const groups = await items.allTextContents()
    await look(page, '07-the-key')
    await page.getByRole('button', { name: 'I have kept it' }).click()
    const asked = Number(await page.getByTestId('asked-group').getAttribute('data-group'))
    await page.getByLabel(`Group number ${asked}`).fill('nope')
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByText(`That is not group number ${asked}.`).waitFor()
    await look(page, '08-just-to-be-sure')
    await page.getByLabel(`Group number ${asked}`).fill(groups[asked - 1] ?? '')
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('button', { name: 'Go to my messages' }).waitFor()
    await look(page, '09-all-set')
    await page.getByRole('button', { name: 'Go to my messages' }).click()
  })

  it('rooms', async () => {
    const { page } = anna
    await page.getByRole('button', { name: 'New', exact: true }).waitFor()
    await look(page, '10-a-quiet-house')
    await page.getByRole('button', { name: 'New', exact: true }).click()
    await page.getByRole('menu').waitFor()
    await look(page, '11-new')
    await page.getByRole('menuitem', { name: 'New room' }).click()
    await page.getByRole('dialog').waitFor()
    await look(page, '12-new-room')
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'New', exact: true }).click()
    await page.getByRole('menuitem', { name: 'Message somebody' }).click()
    await page.getByRole('dialog').waitFor()
    await page.getByLabel('Name or address').fill('nobody')
    await look(page, '13-message-somebody')
    await page.keyboard.press('Escape')

    await makeRoom(
      page,
      LONG.slice(0, 80),
      'https://example.org/a/very/long/address/that/does/not/want/to/end/anywhere',
    )
    await look(page, '14-an-empty-room')
    await makeRoom(page, 'Kitchen table', 'Dinner, shopping, who feeds the cat')
    await page.getByRole('button', { name: 'Invite somebody' }).first().click()
    await page.getByRole('dialog').waitFor()
    await page.getByLabel('Name or address').fill('not an @address: at all')
    await look(page, '15-invite')
    await page.keyboard.press('Escape')
  })

  it('a conversation', async () => {
    const { page } = anna
    await register(ben.page, home.url(), 'ben')
    await makeRecoveryKey(ben.page)
    await ben.page.getByRole('link', { name: /Settings/ }).click()
    await ben.page.getByLabel('The name that people see').fill(LONG)
    await ben.page.getByRole('region', { name: 'You', exact: true }).getByRole('button', { name: 'Save' }).click()
    await ben.page.goto(home.url())
    await invite(page, `@ben:${SERVER_NAME}`)
    await look(page, '16-has-been-invited')
    await ben.page.getByRole('button', { name: 'Accept the invitation to Kitchen table' }).waitFor()
    await look(ben.page, '17-an-invitation')
    await ben.page.getByText('Kitchen table').first().click()
    await acceptInvite(ben.page, 'Kitchen table')
    await page.getByText('came in').first().waitFor()
    await say(page, `A list:\n\n- bread\n- **butter**\n\n> said the cat\n\nhttps://example.org/${'long/'.repeat(30)}`)
    await say(page, '🎂')
    await message(ben.page, '🎂').waitFor()
    await message(ben.page, 'A list').hover()
    await message(ben.page, 'A list').getByRole('button', { name: 'Answer' }).click()
    await say(ben.page, `Loooong${'ooooooooooooooooo'.repeat(20)}ng words, and then some ordinary ones after them.`)
    await message(page, 'Loooong').waitFor()
    await message(page, 'Loooong').hover()
    await message(page, 'Loooong').getByRole('button', { name: 'React' }).click()
    await page
      .getByRole('button', { name: /React with/ })
      .first()
      .waitFor()
    await look(page, '18-react')
    await page
      .getByRole('button', { name: /React with/ })
      .first()
      .click()
    await page.getByRole('button', { name: /from anna/ }).waitFor()
    const chooser = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Add a picture or a file' }).click()
    await (await chooser).setFiles([
      { name: 'icon-512.png', mimeType: 'image/png', buffer: readFileSync(PICTURE) },
      {
        name: `${'a very long name of a file '.repeat(5)}.pdf`,
        mimeType: 'application/pdf',
        buffer: Buffer.alloc(70_000),
      },
    ])
    await page.getByTestId('composer').fill('Our new sign')
    await look(page, '19-picked-files')
    await page.getByTestId('composer').press('Enter')
    await ben.page.getByRole('button', { name: /^Save a very long/ }).waitFor()
    await say(page, 'to be removed')
    await message(page, 'to be removed').and(page.locator('[data-state="sent"]')).hover()
    await message(page, 'to be removed').getByRole('button', { name: 'More for this message' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).waitFor()
    await look(page, '20-more')
    // a menu may close when its window changes its size
    await page.keyboard.press('Escape')
    await message(page, 'to be removed').hover()
    await message(page, 'to be removed').getByRole('button', { name: 'More for this message' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).click()
    await page.getByRole('dialog').waitFor()
    await look(page, '21-remove')
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByText('This message was removed.').waitFor()
    await page.route('**/send/**', (route) =>
      route.fulfill({ status: 403, json: { errcode: 'M_FORBIDDEN', error: 'no' } }),
    )
    await say(page, 'this one is refused')
    await page.getByRole('button', { name: 'Discard' }).waitFor()
    await look(page, '22-a-conversation')
    await page.unroute('**/send/**')
    await look(ben.page, '23-the-other-side')
    await page.getByRole('button', { name: 'About this room' }).click()
    await page.getByRole('region', { name: 'About this room' }).waitFor()
    await look(page, '24-about-this-room')
    await page.getByRole('button', { name: 'Leave the room' }).click()
    await page.getByRole('dialog').waitFor()
    await look(page, '25-leave')
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Close the details' }).first().click()
    await page.getByRole('button', { name: 'Look at icon-512.png' }).click()
    await page.getByRole('dialog').getByRole('img').waitFor()
    await look(page, '26-a-picture')
    await page.keyboard.press('Escape')
  })

  it('settings, and leaving', async () => {
    const { page } = ben
    await page.getByRole('link', { name: /Settings/ }).click()
    await page.getByText('this device is trusted').waitFor()
    await look(page, '30-settings')
    await page.getByRole('button', { name: 'Sign out', exact: true }).scrollIntoViewIfNeeded()
    await look(page, '31-settings-below')
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).waitFor()
    await look(page, '32-sign-out')
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Your name or address').waitFor()
    await page.getByLabel('Your name or address').fill('ben')
    await page.getByRole('textbox', { name: 'Password' }).fill('not this one')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('The name or the password is not right.').waitFor()
    await look(page, '33-sign-in')
    await page.getByRole('button', { name: 'Create an account' }).click()
    await page.getByLabel('Choose a name').fill('anna')
    await page.getByText('That name is already taken.').waitFor()
    await look(page, '34-create-an-account')
    await signIn(page, home.url(), 'ben')
    await page.getByRole('heading', { name: 'Bring your messages here' }).waitFor()
    await page.getByRole('textbox', { name: 'Recovery key' }).fill('nonsense')
    await page.getByRole('button', { name: 'Open my messages' }).click()
    await page.getByText('That is not the recovery key').waitFor()
    await look(page, '35-the-key-is-asked-for')
    await page.getByRole('button', { name: 'I have lost my recovery key' }).click()
    await page.getByRole('dialog').waitFor()
    await look(page, '36-lost')
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Skip for now' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Go on without it' }).click()
    await page.getByRole('link', { name: /Kitchen table/ }).click()
    await page.getByText('Your recovery key opens it.').first().waitFor()
    await look(page, '37-locked-messages')
  })

  it('when something is wrong', async () => {
    const { page } = anna
    await page.goto(`${home.url()}/#/room/!nowhere`)
    await page.getByText('This room is not here').waitFor()
    await look(page, '40-no-such-room')
    const second = await anna.context.newPage()
    await second.goto(home.url())
    await second.getByRole('button', { name: 'Use it here' }).waitFor()
    await look(second, '41-another-tab')
    await second.close()
    await page.getByRole('link', { name: /Kitchen table/ }).click()
    await home.kill()
    await page.getByText('No connection to your home.').waitFor()
    await say(page, 'written while it is away')
    await look(page, '42-no-connection')
    await home.start()
    await message(page, 'written while').and(page.locator('[data-state="sent"]')).waitFor()
    await page.route('**/_matrix/client/**', (route) =>
      route.fulfill({ status: 401, json: { errcode: 'M_UNKNOWN_TOKEN', error: 'no', soft_logout: true } }),
    )
    await page.getByRole('heading', { name: 'Please sign in again' }).waitFor()
    await look(page, '43-sign-in-again')
    await page.unroute('**/_matrix/client/**')
    await page.getByRole('textbox', { name: 'Password' }).fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('link', { name: /Kitchen table/ }).waitFor()

    await using guest = await openDevice(browser)
    await guest.page.addInitScript(() => Object.defineProperty(globalThis, 'isSecureContext', { value: false }))
    await guest.page.goto(home.url())
    await guest.page.getByText('This connection is not private enough').waitFor()
    await look(guest.page, '44-not-private-enough')
    expect(anna.problems).toEqual([])
    expect(ben.problems).toEqual([])
  })
})
