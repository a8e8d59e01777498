import type { Browser, Page, Response } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leavePicturesOfFailures } from './support/failed-pictures.ts'
import { type HomeProcess, SERVER_NAME, startHomeProcess } from './support/home-process.ts'
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
  sessionOf,
} from './support/people.ts'

/** The texts that a page shows as sent, in order. Each ends with a dot, to be told from the time after it. */
async function sentTexts(page: Page): Promise<string[]> {
  return page
    .locator('[data-testid="message"][data-state="sent"]')
    .evaluateAll((lines) => lines.map((line) => /(anna|ben) says \d+(?=\.)/.exec(line.textContent ?? '')?.[0] ?? ''))
}

async function unsentTexts(page: Page): Promise<string[]> {
  return page
    .locator('[data-testid="message"]:is([data-state="waiting"], [data-state="sending"])')
    .evaluateAll((lines) => lines.map((line) => line.textContent ?? ''))
}

const isConfirmedSend = (response: Response): boolean =>
  response.ok() && response.request().method() === 'PUT' && response.url().includes('/send/m.room.encrypted/')

interface Confirmed {
  readonly roomId: string
  readonly eventId: string
}

/** Every event that the server confirms to one of the pages from here on. */
function confirmedEvents(pages: readonly Page[]): readonly Confirmed[] {
  const confirmed: Confirmed[] = []
  for (const page of pages) {
    page.on('response', (response) => {
      const roomId = /\/rooms\/([^/]+)\/send\//.exec(response.url())?.[1]
      if (!roomId || !isConfirmedSend(response)) return
      response
        .json()
        .then((body: { event_id: string }) => {
          confirmed.push({ roomId: decodeURIComponent(roomId), eventId: body.event_id })
        })
        // the server was killed in the middle of its answer: nothing was confirmed
        .catch(() => undefined)
    })
  }
  return confirmed
}

describe('A server that is killed while people are writing', () => {
  let browser: Browser
  let home: HomeProcess
  let anna: Device
  let ben: Device

  beforeAll(async () => {
    home = await startHomeProcess()
    browser = await openBrowser()
    // tall, so that all messages are in the page at once
    anna = await openDevice(browser)
    ben = await openDevice(browser)
    await anna.page.setViewportSize({ width: 900, height: 3_000 })
    await ben.page.setViewportSize({ width: 900, height: 3_000 })
    await claimHome(anna.page, home.url(), await home.claimCode(), 'Lindenhof', 'anna')
    await makeRecoveryKey(anna.page)
    await register(ben.page, home.url(), 'ben')
    await makeRecoveryKey(ben.page)
    await makeRoom(anna.page, 'Storm')
    await invite(anna.page, `@ben:${SERVER_NAME}`)
    await acceptInvite(ben.page, 'Storm')
    await say(anna.page, 'anna says 0.')
    await message(ben.page, 'anna says 0').waitFor()
  }, 240_000)

  leavePicturesOfFailures(() => ({ anna, ben }))

  afterAll(async () => {
    await browser?.close()
    await home?.[Symbol.asyncDispose]()
  })

  it('loses nothing that was confirmed, doubles nothing, and both pages go on by themselves', async () => {
    const people = [
      { name: 'anna', page: anna.page },
      { name: 'ben', page: ben.page },
    ]
    const write = async (from: number, to: number): Promise<void> => {
      await Promise.all(
        people.map(async ({ name, page }) => {
          for (let at = from; at <= to; at++) await say(page, `${name} says ${at}.`)
        }),
      )
    }
    const confirmed = confirmedEvents(people.map(({ page }) => page))
    const bothConfirmed = Promise.all(people.map(({ page }) => page.waitForResponse(isConfirmedSend)))
    const writing = write(1, 10)
    await bothConfirmed
    await home.kill()
    await writing
    const beforeTheKill = [...confirmed]
    expect(beforeTheKill.length).toBeGreaterThanOrEqual(2)
    // both had more to say than the server could confirm
    for (const { page } of people) expect((await unsentTexts(page)).length).toBeGreaterThan(0)

    await write(11, 12)
    await anna.page.getByText('No connection to your home.').waitFor()
    await screenshot(anna.page, '20-no-connection')
    await home.start()
    // what had been confirmed to either page is at the server, asked by its event ID
    const { accessToken } = await sessionOf(anna.page)
    for (const { roomId, eventId } of beforeTheKill) {
      const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(eventId)}`
      const answer = await fetch(home.url() + path, { headers: { authorization: `Bearer ${accessToken}` } })
      expect(await answer.json()).toMatchObject({ event_id: eventId, type: 'm.room.encrypted' })
    }

    const all = people
      .flatMap(({ name }) => Array.from({ length: 12 }, (_, at) => `${name} says ${at + 1}`))
      .concat('anna says 0')
    for (const { page } of people) {
      await expect.poll(async () => (await sentTexts(page)).toSorted(), { timeout: 90_000 }).toEqual(all.toSorted())
      await page.getByText('No connection to your home.').waitFor({ state: 'detached' })
    }
    // each person's own words keep their order
    for (const { page } of people) {
      const texts = await sentTexts(page)
      for (const { name } of people) {
        const own = texts.filter((text) => text.startsWith(name)).map((text) => Number(text.split(' ').at(-1)))
        expect(own).toEqual(own.toSorted((a, b) => a - b))
      }
    }
    await screenshot(ben.page, '21-going-on')
  })

  it('keeps what is written while it is gone, even when the page is loaded anew', async () => {
    await home.kill()
    await say(anna.page, 'anna says 100.')
    await expect.poll(() => message(anna.page, 'anna says 100').getAttribute('data-state')).not.toBe('sent')
    await anna.page.getByText('No connection to your home.').waitFor()
    const address = anna.page.url()
    await home.start()
    // a new page of the same profile finds the message in the device's own storage
    await anna.page.goto('about:blank')
    await anna.page.goto(address)
    await expect
      .poll(() => message(anna.page, 'anna says 100').getAttribute('data-state'), { timeout: 60_000 })
      .toBe('sent')
    await message(ben.page, 'anna says 100').waitFor({ timeout: 60_000 })
    expect(await message(ben.page, 'anna says 100').count()).toBe(1)
    expect(anna.problems).toEqual([])
    expect(ben.problems).toEqual([])
  })
})
