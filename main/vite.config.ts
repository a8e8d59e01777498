import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/**
 * Two builds: `--mode main` for what runs in Node (Electron's main process, the few lines that start the server in Electron's
 * utility process, and the start without Electron), `--mode preload` for the one script that runs before the page and must be
 * CommonJS in a sandbox. All packages are bundled, so the packed app carries none for this room. The server has a build of its own.
 */
export default defineConfig(({ mode }) => {
  const isPreload = mode === 'preload'
  const input: Record<string, string> = isPreload
    ? { preload: at('preload/index.ts') }
    : {
        index: at('index.ts'),
        homeserver: at('homeserver/utility-entry.ts'),
        'browser-home': at('launch/browser-home.ts'),
      }
  return {
    root: at('.'),
    publicDir: false,
    ssr: { noExternal: true },
    build: {
      ssr: true,
      target: 'node24',
      outDir: at('dist'),
      emptyOutDir: !isPreload,
      license: isPreload ? false : { fileName: 'licenses.md' },
      rolldownOptions: {
        input,
        external: ['electron'],
        // The server's door names the home; nothing else that it leads to may come along.
        treeshake: { moduleSideEffects: (id: string) => id.startsWith(at('.')) },
        onLog(level, log, report) {
          // In a package that the server's door leads to, and that does not get in.
          if (log.code !== 'EVAL') report(level, log)
        },
        output: isPreload
          ? { format: 'cjs', entryFileNames: '[name].cjs' }
          : // All beside each other: what is found by its place is then as far from here as from the folders of the sources.
            { format: 'es', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
      },
    },
  }
})
