import { fileURLToPath } from 'node:url'

/** Where `npm run build` puts the app's page. */
export const pageFolder = fileURLToPath(new URL('../../renderer/dist', import.meta.url))
