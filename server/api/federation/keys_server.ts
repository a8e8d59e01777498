import type { ReplyOf } from '../../../shared/api/endpoint.ts'
import { getServerKey } from '../../../shared/api/federation/keys_server.ts'
import type { KeyRing } from '../../federation/index.ts'
import { type Route, route } from '../../http/route.ts'

export const keysServerRoutes = (keys: Pick<KeyRing, 'ownDocument'>): readonly Route[] => [
  route(getServerKey, async () => keys.ownDocument() as ReplyOf<typeof getServerKey>),
]
