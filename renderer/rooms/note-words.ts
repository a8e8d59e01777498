import type { NoteRow } from '../matrix/index.ts'

type Translate = (key: string, named?: Record<string, unknown>) => string

/** What a note says, in the language that `t` speaks. */
export function noteWords(row: NoteRow, t: Translate): string {
  const { note } = row
  const actor = row.actor.name
  switch (note.what) {
    case 'invited':
    case 'kicked':
    case 'banned':
    case 'unbanned':
    case 'uninvited': {
      const said = t(`note.${note.what}`, { actor, target: note.target })
      return note.reason ? t('note.reason', { note: said, reason: note.reason }) : said
    }
    case 'renamedSelf':
      return t('note.renamedSelf', { from: note.from, to: note.to })
    case 'roomName':
      return t('note.roomName', { actor, to: note.to })
    case 'topic':
      return note.to ? t('note.topic', { actor, to: note.to }) : t('note.topicNone', { actor })
    case 'joinRule':
    case 'historyVisibility':
      return t(`note.${note.what}.${note.to}`, { actor })
    default:
      return t(`note.${note.what}`, { actor })
  }
}
