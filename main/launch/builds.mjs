/** What is built: by which configuration, into which folder, from which sources. */
export const page = {
  name: 'the page',
  config: 'renderer/vite.config.ts',
  out: 'renderer/dist',
  from: ['renderer', 'shared'],
  modes: ['production'],
}

export const homeserver = {
  name: 'the server',
  config: 'server/vite.config.ts',
  out: 'server/dist',
  from: ['server', 'shared'],
  modes: ['production'],
  // For servers that were started from it.
  keepsOlderFiles: true,
}

export const desktopShell = {
  name: 'the desktop shell',
  config: 'main/vite.config.ts',
  out: 'main/dist',
  from: ['main', 'server', 'shared'],
  modes: ['main', 'preload'],
}
