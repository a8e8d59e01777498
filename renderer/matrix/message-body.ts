import { isRecord } from './failure.ts'
import type { Body, EncryptedFile, MediaRef } from './rows.ts'

/**
 * What a message says, from its content. Everything in it was written by somebody else: each key is checked, and a
 * content that makes no sense becomes `unsupported`, never an error. Spec: client-server-api §m.room.message msgtypes.
 * @param content of an `m.room.message` or `m.sticker`, decrypted; for edits the new content
 */
export function bodyOf(content: Readonly<Record<string, unknown>>): Body {
  const text = asText(content.body)
  switch (content.msgtype) {
    case 'm.text':
    case 'm.emote':
    case 'm.notice':
      return {
        type: content.msgtype === 'm.text' ? 'text' : content.msgtype === 'm.emote' ? 'emote' : 'notice',
        text: isReply(content) ? withoutQuotedLines(text) : text,
        html:
          content.format === 'org.matrix.custom.html' && typeof content.formatted_body === 'string'
            ? content.formatted_body
            : null,
      }
    case 'm.image':
    case 'm.file':
    case 'm.audio':
    case 'm.video':
      return mediaBodyOf(content, content.msgtype) ?? { type: 'unsupported', text }
    default:
      return { type: 'unsupported', text }
  }
}

/** A sticker is a picture whose `url` is plain. Spec: client-server-api §m.sticker. */
export function stickerBodyOf(content: Readonly<Record<string, unknown>>): Body {
  return mediaBodyOf(content, 'm.image') ?? { type: 'unsupported', text: asText(content.body) }
}

function mediaBodyOf(
  content: Readonly<Record<string, unknown>>,
  msgtype: 'm.image' | 'm.file' | 'm.audio' | 'm.video',
): Body | undefined {
  const info = isRecord(content.info) ? content.info : {}
  const media = mediaRefOf(content.file, content.url, info.mimetype)
  if (!media) return undefined
  const body = asText(content.body)
  const filename = asText(content.filename)
  // §Media captions: where both are there and differ, the body is a caption
  const name = filename || body
  const caption = filename && body && filename !== body ? body : null
  const sizeBytes = asCount(info.size)
  if (msgtype === 'm.image') {
    return {
      type: 'image',
      media,
      thumbnail: mediaRefOf(info.thumbnail_file, info.thumbnail_url, thumbnailMime(info)) ?? null,
      name,
      caption,
      width: asCount(info.w),
      height: asCount(info.h),
      blurhash: asText(info['xyz.amorgan.blurhash']) || null,
      sizeBytes,
    }
  }
  const type = msgtype === 'm.file' ? 'file' : msgtype === 'm.audio' ? 'audio' : 'video'
  return { type, media, name, caption, sizeBytes, durationMs: asCount(info.duration) }
}

function thumbnailMime(info: Readonly<Record<string, unknown>>): unknown {
  return isRecord(info.thumbnail_info) ? info.thumbnail_info.mimetype : undefined
}

function mediaRefOf(file: unknown, url: unknown, mime: unknown): MediaRef | undefined {
  const encryption = encryptedFileOf(file)
  const mxc = encryption ? encryption.url : asText(url)
  if (!/^mxc:\/\/[^/?#]+\/[\w.~-]+$/.test(mxc)) return undefined
  return { mxc, encryption, mime: asText(mime) || 'application/octet-stream' }
}

function encryptedFileOf(file: unknown): EncryptedFile | null {
  if (!isRecord(file) || !isRecord(file.key) || !isRecord(file.hashes)) return null
  const { url, v, iv } = file
  const { k } = file.key
  const { sha256 } = file.hashes
  if (typeof url !== 'string' || typeof iv !== 'string' || typeof k !== 'string' || typeof sha256 !== 'string')
    return null
  return {
    url,
    v: asText(v) || 'v2',
    iv,
    key: { alg: 'A256CTR', k, kty: 'oct', key_ops: ['encrypt', 'decrypt'], ext: true },
    hashes: { sha256 },
  }
}

/** The event that this one answers, or `undefined`. */
export function replyTargetOf(content: Readonly<Record<string, unknown>>): string | undefined {
  const relation = content['m.relates_to']
  const inReplyTo = isRecord(relation) ? relation['m.in_reply_to'] : undefined
  const eventId = isRecord(inReplyTo) ? inReplyTo.event_id : undefined
  return typeof eventId === 'string' ? eventId : undefined
}

function isReply(content: Readonly<Record<string, unknown>>): boolean {
  return replyTargetOf(content) !== undefined
}

/** Takes away the quoted lines that older clients put before an answer. Spec: client-server-api §Rich replies (v1.12 and before). */
export function withoutQuotedLines(text: string): string {
  const lines = text.split('\n')
  let at = 0
  while (at < lines.length && lines[at]?.startsWith('> ')) at++
  if (at === 0) return text
  return lines.slice(lines[at] === '' ? at + 1 : at).join('\n')
}

/** One line of text, for a quote or a list. Long texts are cut at 140 characters. */
export function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 140 ? `${line.slice(0, 139)}…` : line
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function asCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}
