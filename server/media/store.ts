import { collection, type Row } from '../store/index.ts'

/** One upload. The bytes lie in a file named by the media ID. */
export type MediaRow = Row & {
  mediaId: string
  owner: string
  /** As the uploader gave it; never trusted for anything but its header. */
  contentType: string
  fileName: string | null
  /** `null` while the ID is made but nothing has been uploaded for it yet. */
  sizeBytes: number | null
  createdTs: number
  /** For IDs made ahead: when the upload must have happened. */
  unusedExpiresTs: number | null
  /** The owner, as long as nothing is uploaded; for counting those pending. */
  pendingOwner: string | null
  /** Owner, and the position of the commit with which the upload was there; for listing. */
  ownerOrder: string | null
}
export const mediaRows = collection<MediaRow>({
  name: 'media',
  place: 'home',
  key: 'mediaId',
  indexes: ['owner', 'pendingOwner', 'unusedExpiresTs', 'ownerOrder', 'createdTs'],
})

/** What a user's uploads come to; changes in the commits that change them. */
export type UsageRow = Row & { userId: string; files: number; bytes: number }
export const usageRows = collection<UsageRow>({ name: 'media-usage', place: 'home', key: 'userId', indexes: [] })

/** How much a user may upload in all; without a row as much as they like. */
export type QuotaRow = Row & { userId: string; maxBytes: number }
export const quotaRows = collection<QuotaRow>({ name: 'media-quotas', place: 'home', key: 'userId', indexes: [] })

/** A file that events name which the server can read; or one that they named. */
export type ReferenceRow = Row & {
  /** `<server name>/<media ID>`; of media of others only until our copy of it is gone. */
  media: string
  /** How many events name it. */
  events: number
  /** When the last of them lost its content; `null` while there is any. */
  orphanedTs: number | null
  /** Who sent that last event. */
  orphanedBy: string | null
}
export const referenceRows = collection<ReferenceRow>({
  name: 'media-references',
  place: 'home',
  key: 'media',
  indexes: ['orphanedTs'],
})

export type MediaRetentionRow = Row & {
  id: 'media-retention'
  /** See `MediaRetentionSettings`; `null`: for ever. */
  unnamedMs: number | null
  cachedMs: number
  /** Since when references are counted: of older uploads nobody knows what names them. */
  countedSinceTs: number
}
export const retentionRows = collection<MediaRetentionRow>({
  name: 'media-retention',
  place: 'home',
  key: 'id',
  indexes: [],
})

/** Media that nobody is shown. A row of its own, so that it outlives what is cached. */
export type QuarantineRow = Row & {
  /** `<server name>/<media ID>` */
  media: string
  by: string
  quarantinedTs: number
}
export const quarantineRows = collection<QuarantineRow>({
  name: 'media-quarantine',
  place: 'home',
  key: 'media',
  indexes: [],
})

/** A file that can be had again: media of another server, or the picture of a page. */
export type CachedRow = Row & {
  /** `<server name>/<media ID>` */
  media: string
  /** Its name in the folder. */
  file: string
  contentType: string
  fileName: string | null
  sizeBytes: number
  createdTs: number
  /** When somebody last wanted it, within an hour. */
  usedTs: number
}
export const cachedRows = collection<CachedRow>({
  name: 'media-cache',
  place: 'home',
  key: 'media',
  indexes: ['usedTs', 'file'],
})

/** What a page said of itself at one time. */
export type PreviewRow = Row & {
  /** The URL's hash, and when it was fetched. */
  version: string
  /** JSON of the answer; `null` where the page could not be had. */
  answer: string | null
  /** ID of the picture among the cached media. */
  imageId: string | null
  fetchedTs: number
  /** Until when it counts as what the page says now. */
  expiresTs: number
}
export const previewRows = collection<PreviewRow>({
  name: 'url-previews',
  place: 'home',
  key: 'version',
  indexes: ['fetchedTs'],
})
