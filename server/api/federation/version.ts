import packageFile from '../../../package.json' with { type: 'json' }
import { getVersion } from '../../../shared/api/federation/version.ts'
import { type Route, route } from '../../http/route.ts'

export const versionRoutes = (): readonly Route[] => [
  route(getVersion, async () => ({ server: { name: 'Hearth', version: packageFile.version } })),
]
