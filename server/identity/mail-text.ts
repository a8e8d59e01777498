/** What the mails say that carry a link, or that say why there is none. */
import type { EmailPurpose } from './store.ts'

export type Language = 'en' | 'de'

interface Said {
  readonly subject: string
  readonly text: string
}

/** @param given.owner who has the address; @param given.link `undefined`: what was asked for is not possible */
export function mailText(given: {
  readonly purpose: EmailPurpose
  readonly language: Language
  readonly home: string
  readonly owner: string | undefined
  readonly link: string | undefined
}): Said {
  const { purpose, language, home, owner = '', link } = given
  const words = link === undefined ? refusals[language] : invitations[language]
  return words[purpose]({ home, owner, link: link ?? '' })
}

type Words = Readonly<Record<EmailPurpose, (of: { home: string; owner: string; link: string }) => Said>>

const lines = (...text: readonly string[]): string => `${text.join('\n\n')}\n`

const invitations: Readonly<Record<Language, Words>> = {
  en: {
    register: ({ home, link }) => ({
      subject: `Confirm your address for ${home}`,
      text: lines(
        `Somebody is making an account on ${home} with this address. If that is you, open this link within an hour:`,
        link,
        'If it is not you, you need not do anything.',
      ),
    }),
    add: ({ home, link }) => ({
      subject: `Confirm your address for ${home}`,
      text: lines(
        `Somebody wants to add this address to their account on ${home}. If that is you, open this link within an hour:`,
        link,
        'If it is not you, do not open it.',
      ),
    }),
    reset: ({ home, owner, link }) => ({
      subject: `Set a new password on ${home}`,
      text: lines(
        `Somebody wants to set a new password for your account ${owner}. If that is you, open this link within an hour:`,
        link,
        'If it is not you, do not open it. Your password stays as it is.',
      ),
    }),
  },
  de: {
    register: ({ home, link }) => ({
      subject: `Bestätige deine Adresse für ${home}`,
      text: lines(
        `Jemand legt mit dieser Adresse ein Konto bei ${home} an. Wenn du das bist, öffne innerhalb einer Stunde diesen Link:`,
        link,
        'Wenn du es nicht bist, brauchst du nichts zu tun.',
      ),
    }),
    add: ({ home, link }) => ({
      subject: `Bestätige deine Adresse für ${home}`,
      text: lines(
        `Jemand möchte diese Adresse zu seinem Konto bei ${home} hinzufügen. Wenn du das bist, öffne innerhalb einer Stunde diesen Link:`,
        link,
        'Wenn du es nicht bist, öffne ihn nicht.',
      ),
    }),
    reset: ({ home, owner, link }) => ({
      subject: `Neues Passwort für ${home}`,
      text: lines(
        `Jemand möchte für dein Konto ${owner} ein neues Passwort setzen. Wenn du das bist, öffne innerhalb einer Stunde diesen Link:`,
        link,
        'Wenn du es nicht bist, öffne ihn nicht. Dein Passwort bleibt, wie es ist.',
      ),
    }),
  },
}

const refusals: Readonly<Record<Language, Words>> = {
  en: {
    register: ({ home, owner }) => ({
      subject: `You have an account on ${home}`,
      text: lines(
        `Somebody tried to make an account on ${home} with this address. It belongs to the account ${owner} already.`,
        'If that was you, sign in there, or have your password reset. If it was not you, you need not do anything.',
      ),
    }),
    add: ({ home, owner }) => ({
      subject: `This address is in use on ${home}`,
      text: lines(
        `Somebody tried to add this address to an account on ${home}. It belongs to the account ${owner} already.`,
        'To use it for another account, remove it there first. If it was not you, you need not do anything.',
      ),
    }),
    reset: ({ home }) => ({
      subject: `No account on ${home}`,
      text: lines(
        `Somebody wanted to set a new password on ${home} with this address. No account there has it.`,
        'If that was you, try another address. If it was not you, you need not do anything.',
      ),
    }),
  },
  de: {
    register: ({ home, owner }) => ({
      subject: `Du hast ein Konto bei ${home}`,
      text: lines(
        `Jemand wollte mit dieser Adresse ein Konto bei ${home} anlegen. Sie gehört schon zum Konto ${owner}.`,
        'Wenn du das warst, melde dich dort an oder setze dein Passwort zurück. Wenn nicht, brauchst du nichts zu tun.',
      ),
    }),
    add: ({ home, owner }) => ({
      subject: `Diese Adresse ist bei ${home} schon vergeben`,
      text: lines(
        `Jemand wollte diese Adresse zu einem Konto bei ${home} hinzufügen. Sie gehört schon zum Konto ${owner}.`,
        'Um sie für ein anderes Konto zu verwenden, entferne sie dort zuerst. Wenn du das nicht warst, brauchst du nichts zu tun.',
      ),
    }),
    reset: ({ home }) => ({
      subject: `Kein Konto bei ${home}`,
      text: lines(
        `Jemand wollte mit dieser Adresse ein neues Passwort bei ${home} setzen. Kein Konto dort hat sie.`,
        'Wenn du das warst, versuch es mit einer anderen Adresse. Wenn nicht, brauchst du nichts zu tun.',
      ),
    }),
  },
}
