/** The origins of the servers that a test has started: `watch-answers.ts` looks at all that comes from them. */
export const watchedServers: Set<string> = new Set()
