import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { expect, onTestFinished } from 'vitest'

export interface TestSmtpServer {
  readonly port: number
  readonly received: readonly ReceivedMail[]
  until(condition: () => boolean): Promise<void>
}

export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  readonly source: string
  readonly user: string | undefined
}

/** Takes what is to be done at the end: of one test, or of whatever lasts longer. */
export type AtEnd = (work: () => Promise<void>) => void

/** An SMTP server: keeps what it is given, or refuses every recipient. */
export async function startSmtp(refuse?: { code: number }, atEnd: AtEnd = onTestFinished): Promise<TestSmtpServer> {
  const received: ReceivedMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    onAuth: ({ username }, _session, done) => done(null, { user: username }),
    onRcptTo: (_address, _session, done) =>
      done(refuse ? Object.assign(new Error('not here, ben@example.org'), { responseCode: refuse.code }) : null),
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          source: Buffer.concat(chunks).toString(),
          user: session.user as string | undefined,
        })
        done()
      })
    },
  })
  server.on('error', () => {
    // A client that hangs up is no failure of this server.
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  atEnd(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return {
    port: (server.server.address() as AddressInfo).port,
    received,
    async until(condition) {
      await expect.poll(condition, { timeout: 15_000 }).toBe(true)
    },
  }
}
