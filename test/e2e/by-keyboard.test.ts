import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type HomeProcess, startHomeProcess } from './support/home-process.ts'
import { type Device, message, openBrowser, openDevice, PASSWORD, screenshot } from './support/people.ts'

describe('By keyboard alone', () => {
  let browser: Browser
  let home: HomeProcess
  let anna: Device

  beforeAll(async () => {
    home = await startHomeProcess()
    browser = await openBrowser()
    anna = await openDevice(browser)
  })

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await screenshot(anna.page, 'failed-by-keyboard')
  })

  afterAll(async () => {
    await browser?.close()
    await home?.[Symbol.asyncDispose]()
  })

  it('goes from an unnamed home to a message, an answer to it, and out again', async () => {
    const { page } = anna
    await page.goto(`${home.url()}/#claim=${await home.claimCode()}`)
    await page.getByLabel('Name of the home').waitFor()
    await tabTo(page, 'Name of the home')
    await page.keyboard.type('Lindenhof')
    await page.keyboard.press('Enter')
    await page.getByLabel('Choose a name').waitFor()
    await tabTo(page, 'Choose a name')
    await page.keyboard.type('anna')
    await tabTo(page, 'Choose a password')
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press('Enter')

    await page.getByRole('button', { name: 'Make my recovery key' }).waitFor()
    await tabTo(page, 'Make my recovery key')
    await page.keyboard.press('Enter')
    const items = page.getByTestId('recovery-key').locator('li')
    await items.first().waitFor()
    const groups = await items.allTextContents()
    await tabTo(page, 'I have kept it')
    await page.keyboard.press('Enter')
    const asked = Number(await page.getByTestId('asked-group').getAttribute('data-group'))
    await page.keyboard.type(groups[asked - 1] ?? '')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Go to my messages' }).waitFor()
    await tabTo(page, 'Go to my messages')
    await page.keyboard.press('Enter')

    await page.getByRole('button', { name: 'New', exact: true }).waitFor()
    await tabTo(page, 'New')
    await page.keyboard.press('Enter')
    await page.getByRole('menuitem', { name: 'New room' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('menu').waitFor({ state: 'detached' })
    expect(await focusedName(page)).toBe('New')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await tabTo(page, 'Name of the room')
    await page.keyboard.type('Kitchen table')
    await page.keyboard.press('Enter')

    // a room that is entered is ready to be written in
    await page.getByTestId('composer').waitFor()
    await expect.poll(() => focusedName(page)).toBe('Write to Kitchen table')
    await page.keyboard.type('Who feeds the cat?')
    await page.keyboard.press('Enter')
    await page.locator('[data-state="sent"]', { hasText: 'Who feeds' }).waitFor()
    await tabTo(page, 'Answer', 'Shift+Tab')
    await page.keyboard.press('Enter')
    await page.keyboard.type('I do.')
    await page.keyboard.press('Enter')
    await message(page, 'I do.').getByText('Who feeds the cat?').waitFor()

    await tabTo(page, 'anna: Settings')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Settings' }).waitFor()
    await tabTo(page, 'Sign out')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByText('Your messages are kept safe.').waitFor()
    await tabTo(page, 'Sign out')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Welcome to Lindenhof' }).waitFor()
    expect(anna.problems).toEqual([])
  })
})

/** The name of what has the focus, as its label or its words say it. */
function focusedName(page: Page): Promise<string> {
  return page.evaluate(() => {
    const focused = document.activeElement
    if (!focused) return ''
    const labels = 'labels' in focused ? [...((focused as HTMLInputElement).labels ?? [])] : []
    return (focused.getAttribute('aria-label') ?? labels[0]?.textContent ?? focused.textContent ?? '').trim()
  })
}

/** Presses Tab until what is named has the focus; fails where it cannot be reached. */
async function tabTo(page: Page, name: string, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  const met: string[] = []
  for (let press = 0; press < 60; press++) {
    const now = await focusedName(page)
    if (now === name) return
    met.push(now)
    await page.keyboard.press(key)
  }
  throw new Error(`${name} cannot be reached by ${key}; met: ${met.join(', ')}`)
}
