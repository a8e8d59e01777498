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
}
export const mediaRows = collection<MediaRow>({
  name: 'media',
  place: 'home',
  key: 'mediaId',
  indexes: ['owner', 'pendingOwner', 'unusedExpiresTs'],
})
