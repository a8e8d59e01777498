import { copyFile, mkdir, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Browser, Page, Route } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HomeProcess, SERVER_NAME, startHomeProcess } from './support/home-process.ts'
import {
  claimHome,
  type Device,
  makeRecoveryKey,
  makeRoom,
  message,
  openBrowser,
  openDevice,
  register,
  say,
  screenshot,
  sessionOf,
} from './support/people.ts'
import { snowmanPicture } from './support/snowman.ts'

const TAKEN = fileURLToPath(new URL('./output/conversation.png', import.meta.url))
const KEPT = fileURLToPath(new URL('../screenshots/conversation.png', import.meta.url))
const NOW = new Date('2026-11-28T17:26:00')
const MINUTE = 60_000

/** How long before now the messages of each room were written, in minutes, as they arrive. */
const WRITTEN: Readonly<Record<string, readonly number[]>> = {
  'School run': [3 * 1440 + 55],
  'Garden and tools': [1440 + 300],
  'Summer by the sea': [7 * 60],
  'Christmas 2026': [200, 41],
  'Kitchen table': [98, 95, 94, 60, 37, 36, 31, 30, 12, 9, 5, 2, 1, 0],
}

describe('A family at their kitchen table', () => {
  let browser: Browser
  let home: HomeProcess
  let anna: Device
  const others = new Map<string, Device>()

  beforeAll(async () => {
    home = await startHomeProcess()
    browser = await openBrowser()
    anna = await openDevice(browser)
  })

  afterAll(async () => {
    await browser?.close()
    await home?.[Symbol.asyncDispose]()
  })

  it('is a picture of what Hearth is for', async () => {
    const { page } = anna
    await page.setViewportSize({ width: 1440, height: 900 })
    await page.clock.setFixedTime(NOW)
    await claimHome(page, home.url(), await home.claimCode(), 'Lindenhof', 'anna')
    await makeRecoveryKey(page)
    await nameAs(page, 'Anna')
    await page.reload()
    await page.getByRole('heading', { name: 'Lindenhof' }).waitFor()
    for (const [name, shown] of [
      ['ben', 'Ben'],
      ['rosie', 'Grandma Rosa'],
      ['mia', 'Mia'],
    ] as const) {
      const device = await openDevice(browser, { width: 900 })
      others.set(name, device)
      await register(device.page, home.url(), name)
      await device.page.getByRole('button', { name: 'Not now' }).click()
      await device.page.getByRole('button', { name: 'I take the risk for now' }).click()
      await nameAs(device.page, shown)
    }
    const ben = pageOf('ben')
    const rosa = pageOf('rosie')
    const mia = pageOf('mia')

    const names = new Map<string, string>()
    await page.route('**/sync?**', (route) => tellTimes(route, names))
    for (const [room, first] of [
      ['School run', 'I take the children on Monday, who takes Tuesday?'],
      ['Garden and tools', 'The ladder is back in the shed.'],
      ['Summer by the sea', 'The house with the blue door is still free in August!'],
      ['Christmas 2026', 'Who makes the dumplings this year?'],
    ] as const) {
      await together(room, 'Dinner, shopping, who feeds the cat', names)
      await say(page, first)
      await page.locator('[data-state="sent"]', { hasText: first }).waitFor()
    }
    await together('Kitchen table', 'Dinner, shopping, who feeds the cat', names)
    for (const other of [ben, rosa, mia]) await other.getByRole('link', { name: /Kitchen table/ }).click()

    const turn = async (who: Page, text: string): Promise<void> => {
      await say(who, text)
      await message(page, text.replaceAll('*', '').slice(0, 20)).and(page.locator('[data-state="sent"]')).waitFor()
    }
    await turn(ben, 'Who picks Mia up from swimming today?')
    await turn(rosa, 'I can, if somebody lends me the car.')
    await turn(page, 'Take ours. The keys hang by the door.')
    await turn(rosa, 'Thank you! I am bringing apple cake.')
    const chooser = mia.waitForEvent('filechooser')
    await mia.getByRole('button', { name: 'Add a picture or a file' }).click()
    await (await chooser).setFiles({ name: 'snowman.jpg', mimeType: 'image/jpeg', buffer: await snowmanPicture() })
    await turn(mia, 'Look who stands in our garden!')
    const picture = page.getByTestId('picture')
    await expect.poll(() => picture.evaluate((image) => (image as HTMLImageElement).naturalWidth)).toBeGreaterThan(100)
    for (const who of [ben, rosa]) {
      const line = message(who, 'Look who stands')
      await line.hover()
      await line.getByRole('button', { name: 'React' }).click()
      await who.getByRole('button', { name: 'React with ❤️' }).click()
    }
    await page.getByRole('button', { name: /❤️ from Ben, Grandma Rosa/ }).waitFor()
    await message(ben, 'Look who stands').hover()
    await message(ben, 'Look who stands').getByRole('button', { name: 'Answer' }).click()
    await turn(ben, 'He needs a scarf. I know one that nobody wears!')
    await turn(page, 'Soup is on at **seven**. Can you bring bread, Ben?')
    await ben.getByRole('link', { name: /Christmas 2026/ }).click()
    await say(ben, 'I do! With mushrooms, as always.')
    await page.getByRole('link', { name: /Christmas 2026.*1 unread/ }).waitFor()
    await ben.getByRole('link', { name: /Kitchen table/ }).click()
    await turn(ben, 'Already in the bag, and still warm.')
    await page.mouse.move(600, 30)
    await rosa.getByTestId('composer').pressSequentially('Mia and I ')
    await page.getByTestId('typing').getByText('Grandma Rosa is writing').waitFor()
    await page.getByRole('log').locator('> *').first().waitFor({ state: 'detached' })
    await screenshot(page, 'conversation')
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    expect(anna.problems).toEqual([])
    expect((await stat(TAKEN)).size).toBeLessThan(300_000)
    // kept in the repository; only taken anew when somebody asks, so that a test run changes no file
    if (process.env.UPDATE_SCREENSHOTS) {
      await mkdir(new URL('.', `file://${KEPT}`), { recursive: true })
      await copyFile(TAKEN, KEPT)
    }
  })

  const pageOf = (name: string): Page => {
    const device = others.get(name)
    if (!device) throw new Error(`${name} is not there`)
    return device.page
  }

  /** Anna makes a room, and everybody is in it. */
  async function together(room: string, topic: string, names: Map<string, string>): Promise<void> {
    await makeRoom(anna.page, room, topic)
    const roomId = decodeURIComponent(anna.page.url().split('/room/')[1] ?? '')
    names.set(roomId, room)
    const { accessToken } = await sessionOf(anna.page)
    for (const [name, { page }] of others) {
      await post(`/rooms/${encodeURIComponent(roomId)}/invite`, accessToken, { user_id: `@${name}:${SERVER_NAME}` })
      await post(`/join/${encodeURIComponent(roomId)}`, (await sessionOf(page)).accessToken, {})
      await page.getByRole('link', { name: new RegExp(room) }).waitFor()
    }
    await anna.page.getByText('4 people').waitFor()
  }

  async function post(path: string, token: string, body: object, method = 'POST'): Promise<void> {
    const answer = await fetch(`${home.url()}/_matrix/client/v3${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect(answer.status, path).toBe(200)
  }

  async function nameAs(page: Page, displayname: string): Promise<void> {
    const { userId, accessToken } = await sessionOf(page)
    await post(`/profile/${encodeURIComponent(userId)}/displayname`, accessToken, { displayname }, 'PUT')
  }

  const seen = new Map<string, number>()
  const counts = new Map<string, number>()

  /** Spreads what arrives over an afternoon: in the test it is all written within seconds. */
  async function tellTimes(route: Route, names: ReadonlyMap<string, string>): Promise<void> {
    const response = await route.fetch({ timeout: 0 })
    const body = (await response.json()) as {
      rooms?: { join?: Record<string, { timeline?: { events?: TimedEvent[] } }> }
    }
    for (const [roomId, { timeline }] of Object.entries(body.rooms?.join ?? {})) {
      const minutes = WRITTEN[names.get(roomId) ?? ''] ?? []
      for (const event of timeline?.events ?? []) {
        const at = counts.get(roomId) ?? 0
        const isMessage = event.type === 'm.room.encrypted'
        const ago = isMessage ? (minutes[at] ?? 0) : (minutes[0] ?? 0) + 30
        if (isMessage && !seen.has(event.event_id)) counts.set(roomId, at + 1)
        const ts = seen.get(event.event_id) ?? NOW.getTime() - ago * MINUTE
        seen.set(event.event_id, ts)
        event.origin_server_ts = ts
      }
    }
    await route.fulfill({ response, json: body })
  }
})

interface TimedEvent {
  readonly type: string
  readonly event_id: string
  origin_server_ts: number
}
