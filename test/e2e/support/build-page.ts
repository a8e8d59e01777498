import { buildStale } from '../../../main/launch/build-stale.mjs'

/** Builds the page where its sources changed, so that the tests see what is in the tree. */
export function setup(): void {
  buildStale()
}
