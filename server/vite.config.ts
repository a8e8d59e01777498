import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/**
 * The server and its packages in a few files, in `server/dist`: Node starts on them in a fraction of the time, and with half of
 * the memory, that 1,400 modules take. `npm run server` uses them where they were made from just these sources, Electron
 * always. Names stay as they are, so that the stacks in the log can be read.
 */
export default defineConfig({
  root: at('.'),
  publicDir: false,
  plugins: [fewMediaTypes(), oneByteCharacters()],
  ssr: {
    noExternal: true,
    // Native code.
    external: ['sharp'],
  },
  build: {
    ssr: true,
    target: 'node24',
    outDir: at('dist'),
    // A server that runs loads some of its files late: `build-stale.mjs` takes away those of older builds after a while.
    emptyOutDir: false,
    // Their authors ask to be named wherever their work goes.
    license: { fileName: 'licenses.md' },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { cli: at('cli.ts') },
      output: {
        format: 'es',
        entryFileNames: '[name].js',
        // Beside the entry: what is found by its place (the page's folder) is as far from here as from `server/app`.
        chunkFileNames: '[name]-[hash].js',
        minify: { mangle: false, compress: false, codegen: { removeWhitespace: true } },
      },
      onLog(level, log, report) {
        // `depd`, by which Koa's packages warn of calls that are out of date, has one.
        if (log.code !== 'EVAL') report(level, log)
      },
    },
  },
})

/**
 * Koa reads a table of 2,500 media types at its start, of which it needs that of its own error page: the edge writes all
 * other answers itself.
 */
function fewMediaTypes(): Plugin {
  const types = { 'text/plain': { charset: 'UTF-8', extensions: ['txt', 'text'] } }
  return {
    name: 'few-media-types',
    enforce: 'pre',
    resolveId: (id) => (id === 'mime-db' ? '\0mime-db' : undefined),
    load: (id) => (id === '\0mime-db' ? { code: JSON.stringify(types), moduleType: 'json' } : undefined),
  }
}

/** A source with one character beyond Latin-1 is kept by V8 with two bytes for each of its characters. */
function oneByteCharacters(): Plugin {
  return {
    name: 'one-byte-characters',
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue
        chunk.code = chunk.code.replaceAll(
          /[^\0-\x7f]/g,
          (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
        )
      }
    },
  }
}
