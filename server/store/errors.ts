/** Another process (or another store of this one) has the folder. */
export class StoreLocked extends Error {
  override readonly name = 'StoreLocked'
}

/** A file is not as it was written. Nothing was changed or repaired; the message names the file. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged'
}

/** The folder was written by a newer version of the program, or is none of ours. */
export class UnknownFormat extends Error {
  override readonly name = 'UnknownFormat'
}
