/**
 * What a mail about unread events says, in plain words, as text and as HTML.
 */
import { localpartOf } from '../../shared/matrix/identifiers.ts'
import { ownValue } from '../protocol/json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { textOf } from './notification.ts'
import type { Pusher } from './pusher.ts'
import type { OpenNotice } from './recipient.ts'

const MAX_ROOMS = 10
const MAX_EVENTS_OF_ROOM = 5
const MAX_BODY_LENGTH = 300
const MAX_NAME_LENGTH = 100

/** One line of the mail. */
export interface DigestEntry {
  readonly roomId: string
  /** `null`: a room without a name. */
  readonly roomName: string | null
  readonly sender: string
  readonly what: { readonly kind: 'said'; readonly text: string } | { readonly kind: Kind }
}
type Kind = 'encrypted' | 'picture' | 'video' | 'sound' | 'file' | 'invite' | 'call' | 'other'

interface Words {
  readonly subject: (count: number, name: string) => string
  readonly unnamedRoom: string
  readonly more: (count: number) => string
  readonly open: string
  readonly why: string
  readonly unsubscribe: string
  readonly did: Readonly<Record<Kind, string>>
}

const english: Words = {
  subject: (count, name) => (count === 1 ? `A new message on ${name}` : `${count} new messages on ${name}`),
  unnamedRoom: 'Conversation',
  more: (count) => (count === 1 ? 'and one more message' : `and ${count} more messages`),
  open: 'Read and answer:',
  why: 'You get this mail because you asked to be told of messages that you have not read.',
  unsubscribe: 'No more of these mails:',
  did: {
    encrypted: 'sent an encrypted message',
    picture: 'sent a picture',
    video: 'sent a video',
    sound: 'sent a voice message or sound',
    file: 'sent a file',
    invite: 'invites you',
    call: 'called you',
    other: 'did something that you asked to be told of',
  },
}
const german: Words = {
  subject: (count, name) => (count === 1 ? `Eine neue Nachricht auf ${name}` : `${count} neue Nachrichten auf ${name}`),
  unnamedRoom: 'Unterhaltung',
  more: (count) => (count === 1 ? 'und eine weitere Nachricht' : `und ${count} weitere Nachrichten`),
  open: 'Lesen und antworten:',
  why: 'Du bekommst diese Mail, weil du von ungelesenen Nachrichten erfahren möchtest.',
  unsubscribe: 'Keine solchen Mails mehr:',
  did: {
    encrypted: 'hat eine verschlüsselte Nachricht gesendet',
    picture: 'hat ein Bild gesendet',
    video: 'hat ein Video gesendet',
    sound: 'hat eine Sprachnachricht oder einen Ton gesendet',
    file: 'hat eine Datei gesendet',
    invite: 'lädt dich ein',
    call: 'hat dich angerufen',
    other: 'hat etwas getan, wovon du erfahren möchtest',
  },
}

const wordsOf = (lang: string): Words => (/^de\b/i.test(lang) ? german : english)

export function digestEntryOf({ event, view }: OpenNotice, { userId }: Pusher): DigestEntry {
  const { sender, type, content, state_key: stateKey } = event.pdu
  const name = textOf(view, 'm.room.name', 'name') ?? textOf(view, 'm.room.canonical_alias', 'alias')
  return {
    roomId: event.roomId,
    roomName: name === undefined ? null : short(name, MAX_NAME_LENGTH),
    sender: short(textOf(view, 'm.room.member', 'displayname', sender) ?? localpartOf(sender), MAX_NAME_LENGTH),
    what: type === 'm.room.member' && stateKey === userId ? { kind: 'invite' } : whatOf(type, content),
  }
}

const KIND_OF_MSGTYPE: ReadonlyMap<unknown, Kind> = new Map([
  ['m.image', 'picture'],
  ['m.video', 'video'],
  ['m.audio', 'sound'],
  ['m.file', 'file'],
])

function whatOf(type: string, content: JsonObject): DigestEntry['what'] {
  if (type === 'm.room.encrypted') return { kind: 'encrypted' }
  if (type === 'm.call.invite') return { kind: 'call' }
  const body = ownValue(content, 'body')
  if (type !== 'm.room.message' || typeof body !== 'string') return { kind: 'other' }
  const kind = KIND_OF_MSGTYPE.get(content.msgtype)
  return kind ? { kind } : { kind: 'said', text: short(body, MAX_BODY_LENGTH) }
}

/** On one line, and not longer. */
function short(text: string, maxLength: number): string {
  const line = text.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim()
  return line.length <= maxLength ? line : `${line.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')}…`
}

export function mailAbout(about: {
  readonly entries: readonly DigestEntry[]
  readonly lang: string
  readonly serverName: string
  readonly baseUrl: string | null
  readonly unsubscribeUrl: string | undefined
}): { readonly subject: string; readonly text: string; readonly html: string } {
  const { entries, lang, serverName, baseUrl, unsubscribeUrl } = about
  const words = wordsOf(lang)
  const byRoom = Map.groupBy(entries, ({ roomId }) => roomId)
  const shown = [...byRoom.values()].slice(0, MAX_ROOMS).map((ofRoom) => {
    // The newest say most.
    const lines = ofRoom.slice(-MAX_EVENTS_OF_ROOM).map(({ sender, what }) => lineOf(words, sender, what))
    return { name: ofRoom[0]?.roomName ?? words.unnamedRoom, lines }
  })
  const left = entries.length - shown.reduce((sum, { lines }) => sum + lines.length, 0)
  const more = left > 0 ? words.more(left) : undefined
  const home = baseUrl === null ? undefined : `${baseUrl}/`
  const footer = [words.why, ...(unsubscribeUrl === undefined ? [] : [`${words.unsubscribe} ${unsubscribeUrl}`])]
  const text = [
    ...shown.flatMap(({ name, lines }) => [name, ...lines.map((line) => `  ${line}`), '']),
    ...(more === undefined ? [] : [more, '']),
    ...(home === undefined ? [] : [`${words.open} ${home}`, '']),
    '-- ',
    ...footer,
  ].join('\n')
  const html = [
    `<!doctype html><html lang="${words === german ? 'de' : 'en'}"><meta charset="utf-8"><body>`,
    ...shown.map(
      ({ name, lines }) =>
        `<h2 style="font-size:1.1em">${escaped(name)}</h2>${lines.map((line) => `<p>${escaped(line)}</p>`).join('')}`,
    ),
    ...(more === undefined ? [] : [`<p>${escaped(more)}</p>`]),
    ...(home === undefined ? [] : [`<p>${escaped(words.open)} ${link(home)}</p>`]),
    `<hr><p><small>${escaped(words.why)}`,
    ...(unsubscribeUrl === undefined ? [] : [`<br>${escaped(words.unsubscribe)} ${link(unsubscribeUrl)}`]),
    '</small></p></body></html>',
  ].join('\n')
  return { subject: words.subject(entries.length, serverName), text, html }
}

const lineOf = (words: Words, sender: string, what: DigestEntry['what']): string =>
  what.kind === 'said' ? `${sender}: ${what.text}` : `${sender} ${words.did[what.kind]}`

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replace(/[&<>"']/g, (letter) => escapes[letter] as string)
const link = (url: string): string => `<a href="${escaped(url)}">${escaped(url)}</a>`
