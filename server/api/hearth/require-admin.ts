import { forbidden } from '../../../shared/matrix/errors.ts'
import type { Requester } from '../../http/route.ts'

/** @throws MatrixError 403 M_FORBIDDEN */
export function requireAdmin({ isAdmin }: Pick<Requester, 'isAdmin'>): void {
  if (!isAdmin) throw forbidden('Only administrators may do this')
}
