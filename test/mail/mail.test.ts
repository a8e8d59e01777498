import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createMail, isMailAddress, type Mail } from '../../server/mail/index.ts'
import { RemoteError } from '../../server/net/index.ts'
import { startSmtp } from '../support/smtp-server.ts'
import { testEnvironment } from './test-environment.ts'

function mailBy(smtp_url: string): Mail {
  const mail = createMail({ environment: testEnvironment(), config: { smtp_url, from: 'Our home <home@example.org>' } })
  if (!mail) throw new Error('no mail')
  onTestFinished(() => mail[Symbol.dispose]())
  return mail
}

describe('mail that the server sends', () => {
  it('is none where the configuration names no SMTP server', () => {
    expect(createMail({ environment: testEnvironment(), config: null })).toBeUndefined()
  })

  it('goes to the SMTP server of the configuration, with its user and password, as text and HTML', async () => {
    const { port, received } = await startSmtp()
    const mail = mailBy(`smtp://home%40example:s%2Fcret@127.0.0.1:${port}`)
    await mail.send({
      to: 'anna@example.org',
      subject: 'Grüße',
      text: 'plain words',
      html: '<p>pretty words</p>',
      unsubscribeUrl: 'https://example.org/stop?key=1',
    })
    expect(received).toMatchObject([{ from: 'home@example.org', to: ['anna@example.org'], user: 'home@example' }])
    const source = received[0]?.source ?? ''
    expect(source).toContain('From: Our home <home@example.org>')
    expect(source).toContain('plain words')
    expect(source).toContain('<p>pretty words</p>')
    expect(source).toContain('Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=')
    expect(source).toContain('List-Unsubscribe: <https://example.org/stop?key=1>')
    expect(source).toContain('Auto-Submitted: auto-generated')
    expect(source).toMatch(/Message-ID: <[0-9a-f]{32}@hearth\.test>/)
  })

  it('has no header that a subject smuggles in', async () => {
    const { port, received } = await startSmtp()
    const subject = 'Hi\r\nBcc: eve@example.org\r\n\r\nbody of eve\u2028x'
    await mailBy(`smtp://127.0.0.1:${port}`).send({ to: 'anna@example.org', subject, text: 'x' })
    expect(received[0]?.to).toEqual(['anna@example.org'])
    expect(received[0]?.source).not.toMatch(/^Bcc:/im)
    expect(received[0]?.source).not.toMatch(/^body of eve/m)
  })

  it.each([
    'anna@example.org, eve@example.org',
    'anna@example.org\r\nBcc: eve@example.org',
    '<anna@example.org>',
    '"anna@example.org"@eve.example',
    'anna',
    `${'a'.repeat(250)}@example.org`,
  ])('goes to one plain address only, not to %j', async (to) => {
    expect(isMailAddress(to)).toBe(false)
    const sent = mailBy('smtp://127.0.0.1:9').send({ to, subject: 's', text: 't' })
    await expect(sent).rejects.toMatchObject({ failure: 'refused' })
  })

  it.each([
    [550, 'refused'],
    [451, 'unreachable'],
  ])('answered %d is %s, without a word of what was in it', async (code, failure) => {
    const { port } = await startSmtp({ code })
    const sent = mailBy(`smtp://127.0.0.1:${port}`).send({ to: 'ben@example.org', subject: 's', text: 't' })
    const error = await sent.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(RemoteError)
    expect(error).toMatchObject({ failure })
    expect((error as Error).message).not.toContain('ben')
  })

  it('does not give a password to a server beyond this machine that offers no encryption', async () => {
    const { port, received } = await startSmtp()
    // Another name for this machine, which is not known to be it.
    const sent = mailBy(`smtp://home:secret@0.0.0.0:${port}`).send({ to: 'ben@example.org', subject: 's', text: 't' })
    await expect(sent).rejects.toMatchObject({ failure: 'unreachable' })
    expect(received).toEqual([])
  })

  it('waits in a queue that ends', async () => {
    const silent = createServer()
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const mail = mailBy(`smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`)
    const outcomes = Array.from({ length: 100 }, () =>
      mail.send({ to: 'ben@example.org', subject: 's', text: 't' }).catch((error: unknown) => error),
    )
    const beyond = mail.send({ to: 'ben@example.org', subject: 's', text: 't' })
    await expect(beyond).rejects.toThrow('too many mails')
    // A stop does not wait for servers that say nothing.
    mail[Symbol.dispose]()
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toBeInstanceOf(RemoteError)
    silent.close()
  })
})
