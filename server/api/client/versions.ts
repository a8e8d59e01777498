import { getVersions } from '../../../shared/api/client/versions.ts'
import { Reply, type Route, route } from '../../http/route.ts'

/** All of them, since clients refuse a server that names only the newest. */
const VERSIONS = Array.from({ length: 19 }, (_, i) => `v1.${i + 1}`)

/** @param unstableFeatures what the slices offer beyond the specification, by the names that clients look for */
export function versionsRoutes(unstableFeatures: Readonly<Record<string, boolean>>): readonly Route[] {
  const answer = JSON.stringify({ versions: VERSIONS, unstable_features: unstableFeatures })
  return [route(getVersions, async () => Reply.json(answer))]
}
