// `npm run server`: the built server where it was made from just these sources, else the sources as they are.
import { homeserver } from './builds.mjs'
import { isFresh } from './freshness.mjs'

// Named by their place: the one is not there before the build, and both run in this very process.
const entry = isFresh(homeserver) ? '../../server/dist/cli.js' : '../../server/cli.ts'
await import(new URL(entry, import.meta.url).href)
