import { describe, expect, it, onTestFinished } from 'vitest'
import type { AccountsForReaders, Requester } from '../../server/accounts/index.ts'
import { openReceipts, type Receipts } from '../../server/ephemeral/receipts.ts'
import { createMail } from '../../server/mail/index.ts'
import { AddressGuard, createOutbound } from '../../server/net/index.ts'
import { createPush, type Push } from '../../server/push/index.ts'
import { startSmtp, type TestSmtpServer } from '../support/smtp-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Rooms and pushes on one clock, with a mail server; bob has proved that his address is his. */
interface House {
  readonly t: TestRooms
  readonly push: Push
  readonly receipts: Receipts
  readonly alice: Requester
  readonly bob: Requester
  readonly roomId: string
  say(body: string, more?: Record<string, string>): Promise<string>
  /** Ends when all that was said has been looked at. */
  settle(): Promise<void>
}

async function startHouse(smtp: TestSmtpServer, isBobs = { address: true }): Promise<House> {
  const t = await startTestRooms()
  const { environment, store, rooms } = t
  const none = (): (() => void) => () => {}
  const accounts = {
    findAccountData: async () => undefined,
    findAccount: async (userId: string) => ({ userId, isAdmin: false, isDeactivated: false, createdTs: 0 }),
    findDevice: async () => ({}),
    onAccountData: none,
    onDeviceRemoved: none,
    onDeactivated: none,
  } as unknown as AccountsForReaders
  const receipts = await openReceipts({ environment, store, rooms, accounts })
  const smtp_url = `smtp://127.0.0.1:${smtp.port}`
  const mail = createMail({ environment, config: { smtp_url, from: 'home@hearth.test' } })
  const outbound = createOutbound({ guard: new AddressGuard([]), trustedCa: [] })
  const push = await createPush({
    environment,
    store,
    rooms,
    accounts,
    ephemeral: { receipts },
    outbound,
    mail,
    findMailAddress: async (userId, address) =>
      userId === '@bob:hearth.test' && isBobs.address && address.toLowerCase() === 'bob@example.org'
        ? 'bob@example.org'
        : undefined,
    baseUrl: () => 'https://home.example',
  })
  await push.resume()
  onTestFinished(async () => {
    await push[Symbol.asyncDispose]()
    mail?.[Symbol.dispose]()
    await outbound[Symbol.asyncDispose]()
    await t[Symbol.asyncDispose]()
  })
  const alice = t.user('alice')
  const bob = t.user('bob')
  const roomId = await rooms.createRoom({ creator: alice.userId, preset: 'public_chat', name: 'Küche <&>' })
  await rooms.join({ roomId, userId: bob.userId, isGuest: false })
  let count = 0
  return {
    t,
    push,
    receipts,
    alice,
    bob,
    roomId,
    say: (body, more = {}) => {
      count += 1
      const content = { msgtype: 'm.text', body, ...more }
      return rooms.send({ roomId, requester: alice, txnId: `t${count}`, type: 'm.room.message', content })
    },
    // Rooms are looked at some turns of the event loop after their events.
    async settle() {
      for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

const mailPusher = (changes: Record<string, unknown> = {}) => ({
  kind: 'email',
  app_id: 'm.email',
  pushkey: 'bob@example.org',
  app_display_name: 'Mail',
  device_display_name: 'bob@example.org',
  lang: 'en',
  data: {},
  ...changes,
})

/** The parts of a mail, as text; quoted-printable put together. */
const textOf = (source = ''): string =>
  Buffer.from(
    source
      .replace(/=\r?\n/g, '')
      .replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString()

describe('client-server-api §POST /pushers/set, kind email', () => {
  it('mails what is unread after a while, in words and in HTML that nobody else can write', async () => {
    const smtp = await startSmtp()
    const house = await startHouse(smtp)
    await house.push.pushers.set(house.bob, mailPusher())
    await house.say('Dinner is <b>ready</b>')
    await house.say('', { msgtype: 'm.image' })
    await house.settle()
    house.t.clock.advance(9 * MINUTE)
    await house.settle()
    expect(smtp.received).toEqual([])
    house.t.clock.advance(2 * MINUTE)
    await smtp.until(() => smtp.received.length === 1)
    const [mail] = smtp.received
    expect(mail?.to).toEqual(['bob@example.org'])
    const text = textOf(mail?.source)
    expect(text).toContain('Subject: 2 new messages on hearth.test')
    expect(text).toContain('Küche <&>\r\n  alice: Dinner is <b>ready</b>\r\n  alice sent a picture')
    expect(text).toContain('Küche &lt;&amp;&gt;</h2>')
    expect(text).toContain('<p>alice: Dinner is &lt;b&gt;ready&lt;/b&gt;</p>')
    expect(text).toContain('https://home.example/')
    const unsubscribe = /List-Unsubscribe:\s+<https:\/\/home\.example\/_hearth\/push\/v1\/unsubscribe\?key=([\w-]{43})>/
    const [, key] = unsubscribe.exec(mail?.source ?? '') ?? []
    expect(house.push.pushers.findByUnsubscribeKey(key ?? '')?.pushkey).toBe('bob@example.org')
    await house.push.pushers.unsubscribe(key ?? '')
    expect(house.push.pushers.of(house.bob.userId)).toEqual([])
  })

  it('says of encrypted messages only that they are there, in the language asked for', async () => {
    const smtp = await startSmtp()
    const house = await startHouse(smtp)
    await house.push.pushers.set(house.bob, mailPusher({ lang: 'de-AT' }))
    const content = { algorithm: 'm.megolm.v1.aes-sha2', ciphertext: 'x' }
    const { roomId, alice: requester } = house
    await house.t.rooms.send({ roomId, requester, txnId: 'e', type: 'm.room.encrypted', content })
    await house.settle()
    house.t.clock.advance(11 * MINUTE)
    await smtp.until(() => smtp.received.length === 1)
    expect(textOf(smtp.received[0]?.source)).toContain('alice hat eine verschlüsselte Nachricht gesendet')
  })

  it('mails nothing of what was read meanwhile', async () => {
    const smtp = await startSmtp()
    const house = await startHouse(smtp)
    await house.push.pushers.set(house.bob, mailPusher())
    const one = await house.say('one')
    await house.settle()
    const { roomId, bob } = house
    await house.receipts.post({ roomId, userId: bob.userId, type: 'm.read', eventId: one, threadId: null })
    await house.say('two')
    await house.settle()
    house.t.clock.advance(11 * MINUTE)
    await smtp.until(() => smtp.received.length === 1)
    const text = textOf(smtp.received[0]?.source)
    expect(text).toContain('A new message on hearth.test')
    expect(text).not.toContain('alice: one')
  })

  it('waits ever longer between mails, each event in one of them', async () => {
    const smtp = await startSmtp()
    const house = await startHouse(smtp)
    await house.push.pushers.set(house.bob, mailPusher())
    for (const [body, waitMs] of [
      ['one', 10 * MINUTE],
      ['two', HOUR],
      ['three', 2 * HOUR],
    ] as const) {
      const before = smtp.received.length
      await house.say(body)
      await house.settle()
      house.t.clock.advance(waitMs - MINUTE)
      await house.settle()
      expect(smtp.received).toHaveLength(before)
      house.t.clock.advance(2 * MINUTE)
      await smtp.until(() => smtp.received.length === before + 1)
      await house.settle()
      expect(textOf(smtp.received.at(-1)?.source)).toContain(`\r\n  alice: ${body}\r\n\r\n`)
    }
  })

  it('goes to the address as its owner has proved it, and ends when it is theirs no longer', async () => {
    const smtp = await startSmtp()
    const isBobs = { address: true }
    const house = await startHouse(smtp, isBobs)
    await house.push.pushers.set(house.bob, mailPusher({ pushkey: 'Bob@Example.org' }))
    await house.say('one')
    await house.settle()
    house.t.clock.advance(11 * MINUTE)
    await smtp.until(() => smtp.received.length === 1)
    expect(smtp.received[0]?.to).toEqual(['bob@example.org'])
    isBobs.address = false
    await house.settle()
    await house.say('two')
    await house.settle()
    house.t.clock.advance(2 * HOUR)
    await expect.poll(() => house.push.pushers.of(house.bob.userId)).toEqual([])
    expect(smtp.received).toHaveLength(1)
  })

  it('is for addresses of the account alone, and for the app m.email', async () => {
    const house = await startHouse(await startSmtp())
    const { alice, bob } = house
    const set = house.push.pushers.set
    await expect(set(alice, mailPusher())).rejects.toMatchObject({ errcode: 'M_THREEPID_NOT_FOUND', status: 400 })
    await expect(set(bob, mailPusher({ app_id: 'x' }))).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
    await expect(set(bob, mailPusher({ pushkey: 'a@b.c, d@e.f' }))).rejects.toMatchObject({
      errcode: 'M_INVALID_PARAM',
    })
  })
})
