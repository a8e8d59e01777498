// What Electron's utility process runs: the built server, with a way to stop it that Windows has, too, where a process can
// only be ended outright. Seen from main/dist/homeserver.js, where the build puts this.
process.parentPort.once('message', () => process.emit('SIGTERM'))
await import(new URL('../../server/dist/cli.js', import.meta.url).href)
