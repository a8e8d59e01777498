import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { findChromium } from '../../support/chromium.mjs'

const OUTPUT = fileURLToPath(new URL('../output', import.meta.url))
export const PASSWORD = 'tea with the neighbours'

/** The system's own Chromium, talking to nobody but our server. */
export function openBrowser(): Promise<Browser> {
  const executablePath = findChromium()
  if (!executablePath) throw new Error('no Chromium was found; name one in CHROMIUM_PATH')
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
      '--no-first-run',
    ],
  })
}

/** A browser profile of its own with one page in it; what the page throws, or its policy refuses, fails the test. */
export interface Device extends AsyncDisposable {
  readonly context: BrowserContext
  readonly page: Page
  readonly problems: readonly string[]
}

export async function openDevice(browser: Browser, options: { dark?: boolean; width?: number } = {}): Promise<Device> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.width && options.width < 600 ? 740 : 800 },
    locale: 'en-US',
    colorScheme: options.dark ? 'dark' : 'light',
  })
  const page = await context.newPage()
  page.setDefaultTimeout(45_000)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error.stack ?? error)))
  page.on('console', (message) => {
    // what the network answers is no fault of the page: a name that is taken, a server that is away
    const isNetwork = message.text().startsWith('Failed to load resource')
    if ((message.type() === 'error' && !isNetwork) || /Content.Security.Policy/i.test(message.text())) {
      problems.push(message.text())
    }
  })
  return { context, page, problems, [Symbol.asyncDispose]: () => context.close() }
}

export async function screenshot(page: Page, name: string): Promise<void> {
  const path = join(OUTPUT, `${name}.png`)
  mkdirSync(dirname(path), { recursive: true })
  await page.screenshot({ path })
}

/** The first run: names the home and makes its first account. Ends at the question about the recovery key. */
export async function claimHome(page: Page, url: string, code: string, home: string, name: string): Promise<void> {
  // from elsewhere: a page that is open there would only see the part behind the # change
  await page.goto('about:blank')
  await page.goto(`${url}/#claim=${code}`)
  await page.getByLabel('Name of the home').fill(home)
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByLabel('Choose a name').fill(name)
  await page.getByLabel('Choose a password').fill(PASSWORD)
  await page.getByRole('button', { name: `Open ${home}` }).click()
  await page.getByRole('button', { name: 'Make my recovery key' }).waitFor()
}

export async function register(page: Page, url: string, name: string): Promise<void> {
  await page.goto(url)
  await page.getByRole('button', { name: 'Create an account' }).click()
  await page.getByLabel('Choose a name').fill(name)
  await page.getByLabel('Choose a password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Create an account' }).click()
  await page.getByRole('button', { name: 'Make my recovery key' }).waitFor()
}

export async function signIn(page: Page, url: string, name: string): Promise<void> {
  await page.goto(url)
  await page.getByLabel('Your name or address').fill(name)
  await page.getByRole('textbox', { name: 'Password' }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** Makes the recovery key, writes it down, and proves it. Answers its groups. */
export async function makeRecoveryKey(page: Page): Promise<readonly string[]> {
  await page.getByRole('button', { name: 'Make my recovery key' }).click()
  const items = page.getByTestId('recovery-key').locator('li')
  await items.first().waitFor()
  const groups = await items.allTextContents()
  await page.getByRole('button', { name: 'I have kept it' }).click()
  const asked = Number(await page.getByTestId('asked-group').getAttribute('data-group'))
  await page.getByLabel(`Group number ${asked}`).fill(groups[asked - 1] ?? '')
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('button', { name: 'Go to my messages' }).click()
  return groups
}

/** The session that a page has open, to ask the server what the page cannot. */
export async function sessionOf(page: Page): Promise<{ userId: string; accessToken: string }> {
  return JSON.parse((await page.evaluate(() => localStorage.getItem('hearth.session'))) ?? '{}')
}

export async function makeRoom(page: Page, name: string, topic = ''): Promise<void> {
  await page.getByRole('button', { name: 'New', exact: true }).click()
  await page.getByRole('menuitem', { name: 'New room' }).click()
  await page.getByLabel('Name of the room').fill(name)
  if (topic) await page.getByLabel('What it is about').fill(topic)
  await page.getByRole('button', { name: 'Make the room' }).click()
  await page.getByRole('heading', { name: new RegExp(name) }).waitFor()
}

export async function invite(page: Page, address: string): Promise<void> {
  await page.getByRole('button', { name: 'Invite somebody' }).first().click()
  await page.getByLabel('Name or address').fill(address)
  await page.getByRole('button', { name: 'Invite', exact: true }).click()
  await page.getByText(`${address} has been invited.`).first().waitFor()
}

export async function acceptInvite(page: Page, room: string): Promise<void> {
  await page.getByRole('button', { name: `Accept the invitation to ${room}` }).click()
  await page.getByTestId('composer').waitFor()
}

export async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId('composer').fill(text)
  await page.getByTestId('composer').press('Enter')
}

/** A message in the timeline that holds a text. */
export const message = (page: Page, text: string) => page.getByTestId('message').filter({ hasText: text })
